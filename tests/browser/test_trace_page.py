"""The page of a trace: what stepping through an answer changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.views import View

pytestmark = pytest.mark.browser
SHOWN = """() => ["pictures] g", "layers]", "confidence]", "text]"]
  .map(part => document.querySelector("[data-part=" + part).innerHTML)"""
STEPS = "() => JSON.parse(document.getElementById('data').textContent).steps"


@pytest.fixture
def view(browser: "Browser", file_of: Callable[[str], Path]) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("trace")) as found:
        yield found


def said(view: "View") -> str:
    return view.page.locator("[data-part=now]").inner_text()


@pytest.mark.parametrize("where", ["slider", "page"])
def test_arrow_keys_change_all_that_is_shown(view: "View", where: str) -> None:
    before = view.ask(SHOWN)
    if where == "slider":
        view.page.get_by_role("slider", name="Step").focus()
    view.page.keyboard.press("ArrowRight")
    assert said(view).startswith("step 2 of ")
    slider = view.page.locator("[data-part=slider]")
    assert slider.get_attribute("aria-valuetext").startswith("step 2 of")
    assert all(a != b for a, b in zip(before, view.ask(SHOWN), strict=True))
    view.page.keyboard.press("ArrowLeft")
    assert said(view).startswith("step 1 of ") and view.ask(SHOWN) == before


def test_every_step_shows_the_tokens_that_it_read(view: "View") -> None:
    steps = view.ask(STEPS)
    counts = {len(step["kept"]) for step in steps}
    assert len(counts) > 1, "make a trace that drops something"
    for number, step in enumerate(steps):
        assert said(view).startswith(f"step {number + 1} of {len(steps)} · {len(step['kept'])} of")
        dropped = view.page.locator("[data-part=pictures] rect.dropped").count()
        places = view.ask("() => data.places.flatMap((place, i) => place ? [i] : [])")
        assert dropped == len(set(places) - set(step["kept"]))
        assert view.page.locator("[data-part=text] .new").count() == len(step["committed"])
        view.page.keyboard.press("ArrowRight")


def test_a_step_is_chosen_in_the_overview_and_in_the_address(
    view: "View", browser: "Browser", file_of: Callable[[str], Path]
) -> None:
    view.page.locator("[data-part=steps] .step").nth(2).click()
    assert said(view).startswith("step 3 of ")
    view.page.goto(file_of("trace").as_uri() + "#2")
    view.page.reload()
    assert said(view).startswith("step 2 of ")


def test_it_plays_and_pauses(view: "View") -> None:
    play = view.page.locator("[data-part=play]")
    play.focus()
    view.page.keyboard.press("Enter")
    assert play.get_attribute("aria-label") == "Pause"
    view.page.wait_for_function("() => document.querySelector('[data-part=slider]').value > 0")
    view.page.keyboard.press("Enter")
    assert play.get_attribute("aria-label") == "Play"
