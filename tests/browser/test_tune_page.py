"""The page of a search shows the front of its result, and every trial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages_made import TRIALS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
LENGTHS = "() => document.getElementById('chart-0').data.map(line => line.x.length)"


def test_it_shows_the_front_and_every_setting(
    browser: "Browser", file_of: Callable[[str], Path]
) -> None:
    from tests.browser.views import opened

    path = file_of("tune")
    result = json.loads((path.parent / "result.json").read_text(encoding="utf-8"))
    with opened(browser, path) as view:
        names = view.page.locator("tbody th").all_inner_texts()
        assert [name.split(":")[0] for name in names] == [row["name"] for row in result["front"]]
        front, floor, allowed, lost = view.ask(LENGTHS)
        assert floor == 2 and 1 <= front <= len(result["front"])
        assert 0 < allowed and 0 < lost and allowed + lost <= TRIALS
        assert view.page.get_by_text("What mattered to the cost").count() == 1
        line = view.page.get_by_role("button", name="loses more")
        line.click()
        assert line.get_attribute("aria-pressed") == "false"
        assert view.ask("() => document.getElementById('chart-0').data[3].visible") is False
