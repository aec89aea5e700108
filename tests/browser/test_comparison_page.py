"""The comparison report: its fronts, legends, and what a browser sees that cannot unpack plotly."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.views import View

pytestmark = pytest.mark.browser


@pytest.fixture
def view(browser: "Browser", file_of: Callable[[str], Path]) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("report")) as found:
        yield found


def test_a_legend_hides_a_line_and_brings_it_back(view: "View") -> None:
    line = view.page.locator("#figures [data-line='0']").first
    shown = "id => document.getElementById(id).data[0].visible !== false"
    for visible in (False, True):
        line.click()
        assert line.get_attribute("aria-pressed") == str(visible).lower()
        assert view.ask(shown, line.get_attribute("data-chart")) is visible


def test_fronts_follow_the_task_and_the_kind_of_speed_up(view: "View") -> None:
    title = "() => document.getElementById('front-0').layout.xaxis.title.text"
    view.page.locator("#front [data-axis=speedup_ideal]").click()
    view.page.wait_for_function(f"() => ({title})() === 'ideal speed-up'")
    view.page.locator("#task").select_option("code")
    view.page.wait_for_function(
        "() => document.querySelector('[data-area=\"0\"]').textContent.startsWith('code:')"
    )
    assert view.complaints == []


def test_a_browser_that_cannot_unpack_plotly_says_so(
    browser: "Browser", file_of: Callable[[str], Path]
) -> None:
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        page.add_init_script("delete window.DecompressionStream")
        page.goto(file_of("report").as_uri())
        said = page.locator("#front-0").inner_text()
        assert "this browser is too old" in said and "Firefox from 113" in said
        page.locator("#results-0 [data-filter]").fill("half from")  # tables work as before
        assert "2 rows match" in page.locator("#results-0 .said").inner_text()
    finally:
        context.close()
