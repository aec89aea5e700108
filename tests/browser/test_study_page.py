"""The report of a study: its fronts, its buttons, and its charts by keyboard."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import summarise_all
from saccade.studies.reports.results_table import by_task
from tests.browser.pages_made import LONG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.views import View

pytestmark = pytest.mark.browser
DATA = """([chart, line]) => {
  const {x, y, visible} = document.getElementById(chart).data[line];
  return {x: [...x], y: [...y], visible: visible !== false};
}"""

IN_SIGHT = """chart => {
  const own = document.getElementById(chart), box = own.closest(".wide").getBoundingClientRect();
  const label = own.querySelector(".hovertext").getBoundingClientRect();
  return label.left >= box.left - 1 && label.right <= box.right + 1;
}"""
"""Whether a chart's label lies within the box in which the chart is scrolled."""


@pytest.fixture
def view(browser: "Browser", file_of: Callable[[str], Path]) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("study")) as found:
        yield found


def test_the_fronts_are_those_of_the_records(view: "View", file_of: Callable[[str], Path]) -> None:
    for i, run in enumerate(summarise_all(file_of("study").parent / "run")):
        for j, rows in enumerate(by_task(run).values()):
            shown = view.ask(DATA, [f"chart-{i}-{j}", 0])
            front = pareto_front(rows, "speedup")
            assert shown["x"] == [row["speedup"] for row in front]
            assert shown["y"] == [row["score"] for row in front]


def test_a_button_chooses_the_axis_of_all_charts(view: "View") -> None:
    ideal = view.page.get_by_role("button", name="Ideal")
    ideal.focus()
    view.page.keyboard.press("Enter")
    assert ideal.get_attribute("aria-pressed") == "true"
    pressed = view.page.locator(".switch [aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Ideal"]
    assert view.page.get_by_text("ideal speed-up", exact=True).count() == 4  # tasks of two models
    assert view.page.get_by_text("measured speed-up", exact=True).count() == 0
    assert not view.ask(DATA, ["chart-0-0", 0])["visible"]


def test_a_legend_hides_a_line_and_brings_it_back(view: "View") -> None:
    line = view.page.locator("[data-chart=figure-0-0][data-line='1']")
    for visible in (False, True):
        line.click()
        assert view.ask(DATA, ["figure-0-0", 1])["visible"] == visible
        assert line.get_attribute("aria-pressed") == str(visible).lower()


def said(view: "View", key: str) -> str:
    """What is said of the point to which a key goes."""
    view.ask("() => { document.querySelector('.unseen').textContent = ''; }")
    view.page.keyboard.press(key)
    view.page.wait_for_function("() => document.querySelector('.unseen').textContent")
    return view.page.locator(".unseen").inner_text()


def test_arrow_keys_go_through_the_points_of_a_chart_and_say_them(view: "View") -> None:
    chart = view.page.get_by_role("group", name="yesno: score against measured speed-up").first
    chart.focus()
    words = [said(view, "ArrowRight") for _ in range(5)]
    assert all("score" in own and "measured" in own for own in words)
    assert any("half of the visual tokens" in own for own in words)
    assert said(view, "ArrowRight") == said(view, "Home") == words[0]
    assert chart.locator(".hovertext").count() == 1
    view.page.keyboard.press("Escape")
    chart.locator(".hovertext").wait_for(state="detached")


def test_cells_of_a_map_of_heat_are_said_on_a_phone(
    browser: "Browser", file_of: Callable[[str], Path]
) -> None:
    """A chart that is scrolled sideways; its cells have no number, but a place."""
    from tests.browser.views import PHONE, opened

    with opened(browser, file_of("study"), PHONE) as view:
        cells = "() => document.getElementById('figure-1-0')._fullData[0].z.map(row => [...row])"
        values = view.ask(cells)
        view.page.locator(".plot", has=view.page.locator("#figure-1-0")).focus()
        for key, place in (("Home", (0, 0)), ("ArrowRight", (0, 1)), ("ArrowRight", (1, 0))):
            assert said(view, key).startswith(f"layer {place[0]}, at ")
            told = view.page.locator(".unseen").inner_text()
            assert told.endswith(f": {values[place[0]][place[1]]:.3f}")
        for key in ("End", "Home"):  # the other end, and back
            said(view, key)
            assert view.ask(IN_SIGHT, "figure-1-0"), "the point's label is brought into sight"


def test_charts_follow_the_scheme(view: "View") -> None:
    colour = "() => getComputedStyle(document.querySelector('#chart-0-0 .xtick text')).fill"
    light = view.ask(colour)
    view.page.emulate_media(color_scheme="dark")
    view.page.wait_for_function(f"before => ({colour})() !== before", arg=light)
    view.page.emulate_media(media="print", color_scheme="dark")
    assert view.complaints == []


def test_what_is_folded_opens_by_keyboard(view: "View") -> None:
    summary = view.page.locator("summary").first
    summary.focus()
    view.page.keyboard.press("Space")
    assert view.page.locator("dl.cases").is_visible()
    assert LONG in view.page.locator("dl.cases").inner_text()
