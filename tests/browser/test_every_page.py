"""What holds for every page, at both widths and in both schemes."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages_made import COMMON

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.views import View

pytestmark = pytest.mark.browser
CASES = list(itertools.product(COMMON, (1280, 390), ("light", "dark")))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def view(
    request: pytest.FixtureRequest, browser: "Browser", file_of: Callable[[str], Path]
) -> "Iterator[View]":
    from tests.browser.views import opened

    name, width, scheme = request.param
    with opened(browser, file_of(name), width, scheme) as found:
        yield found


def test_it_asks_for_nothing_and_complains_of_nothing(view: "View") -> None:
    assert (view.requests, view.complaints) == ([], [])


def test_it_has_a_title_a_language_and_headings_in_order(view: "View") -> None:
    assert len(view.page.title()) > 5 and view.ask("() => document.documentElement.lang") == "en"
    levels = view.ask("() => [...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize(
    "check",
    ["undrawn", "sideways", "barriers", "pale", "cramped", "unreachable", "cut_labels"],
)
def test_nothing_is(view: "View", check: str) -> None:
    from tests.browser import checks

    assert getattr(checks, check)(view) == []
