"""The comparison report: its fronts and figures are those of the records; what its tables do."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saccade.studies.analysis.overall import ALL, overall_rows
from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import Row, summarise_all
from saccade.studies.reports.speedup_charts import AXES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.browser.views import View

pytestmark = pytest.mark.browser
POINTS = """chart => document.getElementById(chart).data
  .map(line => ({name: line.name, x: [...line.x], y: [...line.y]}))"""
DRAWN_POINTS = """chart => document.getElementById(chart)._fullData
  .reduce((sum, line) => sum + (line.z ? line.z.length * line.z[0].length : line.x.length), 0)"""


@pytest.fixture(scope="module")
def view(browser: "Browser", file_of: Callable[[str], Path]) -> "Iterator[View]":
    from tests.browser.views import opened

    with opened(browser, file_of("report")) as found:
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield found
        assert (found.requests, found.complaints) == ([], [])


@pytest.fixture(scope="module")
def rows(file_of: Callable[[str], Path]) -> list[list[Row]]:
    """Of each model of the study, with those of all tasks."""
    found = summarise_all(file_of("report").parent / "run")
    return [[*own.rows(), *overall_rows(own)] for own in found]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("task", [ALL, "yesno", "code"])
def test_fronts_are_those_of_the_records(
    view: "View", rows: list[list[Row]], axis: str, task: str
) -> None:
    view.page.locator("#task").select_option(task)
    view.page.locator(f"[data-axis={axis}]").click()
    for place, all_rows in enumerate(rows):
        own = [row for row in all_rows if row["task"] == task and row[axis] is not None]
        line, *points = view.ask(POINTS, f"front-{place}")
        best = pareto_front(own, axis)
        assert line["x"] == [row[axis] for row in best]
        assert line["y"] == [row["score"] for row in best]
        shown = [pair for kind in points for pair in zip(kind["x"], kind["y"], strict=True)]
        assert sorted(shown) == sorted((row[axis], row["score"]) for row in own) and own


def test_the_front_of_a_search_is_that_of_its_result(
    view: "View", file_of: Callable[[str], Path]
) -> None:
    told = json.loads((file_of("tune").parent / "result.json").read_text(encoding="utf-8"))
    view.page.locator("#task").select_option(told["task"])
    view.page.locator("[data-axis=speedup_ideal]").click()
    assert [view.page.locator(f"#front-{i}").is_visible() for i in range(3)] == [False, False, True]
    _, *points = view.ask(POINTS, "front-2")
    shown = {pair for kind in points for pair in zip(kind["x"], kind["y"], strict=True)}
    wanted = [one for one in told["front"] if one["policy"] != "none"]
    own = {(one["test_ideal"], one["test_score"]) for one in wanted}
    assert shown == own | {(1.0, told["bare_score"])}
    view.page.locator("#task").select_option(ALL)


def test_arrow_keys_say_the_whole_recipe_of_a_point(view: "View") -> None:
    chart = view.page.get_by_role("group", name="Score against speed-up: browser").first
    chart.focus()
    view.page.keyboard.press("End")
    view.page.wait_for_function("() => document.querySelector('.unseen').textContent")
    said = view.page.locator("main > .unseen").inner_text()
    assert "of the unpruned" in said and "measured" in said and "()" in said
    view.page.keyboard.press("Escape")


def column(table: "Locator", place: int) -> list[str]:
    """What a table shows in a column, of the rows that one sees."""
    where = f"tr[data-row]:visible > *:nth-child({place})"
    cells: list[str] = table.locator(where).all_inner_texts()
    return cells


def test_a_table_is_sorted_by_a_click_on_its_head(view: "View", rows: list[list[Row]]) -> None:
    table = view.page.locator("#retention-0")
    head = table.get_by_role("columnheader", name="code")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    shown = [float(text.removesuffix("%")) for text in column(table, 3)]
    assert shown == sorted(shown, reverse=True) and len(set(shown)) > 1
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text.removesuffix("%")) for text in column(table, 3)] == sorted(shown)
    name = table.get_by_role("columnheader", name="case")
    name.get_by_role("button").click()
    assert column(table, 1) == sorted(column(table, 1))


def test_a_table_is_filtered_by_the_names_of_its_rows(view: "View") -> None:
    table = view.page.locator("#results-0")
    before = len(column(table, 1))
    table.get_by_role("searchbox").fill("HALF")
    assert {"half" in name for name in column(table, 1)} == {True}
    assert table.locator(".said").inner_text() == f"{len(column(table, 1))} rows match"
    table.get_by_role("searchbox").fill("there is no such case")
    assert column(table, 1) == [] and not table.locator("tr.section").first.is_visible()
    table.get_by_role("searchbox").fill("")
    assert len(column(table, 1)) == before


def copied(view: "View", table: "Locator", form: str) -> str:
    table.get_by_role("button", name=form, exact=True).click()
    view.page.wait_for_function(
        "([table, form]) => table.querySelector('.said').textContent.endsWith(`copied as ${form}`)",
        arg=[table.element_handle(), form],
    )
    text: str = view.ask("() => navigator.clipboard.readText()")
    return text


def test_what_is_shown_is_copied_in_three_forms(view: "View", rows: list[list[Row]]) -> None:
    table = view.page.locator("#results-0")
    table.get_by_role("searchbox").fill("half from")
    names = [row["case"] for row in rows[0] if row["task"] != ALL and "half from" in row["case"]]
    read = list(csv.DictReader(io.StringIO(copied(view, table, "CSV"))))
    wanted = [row for row in rows[0] if row["task"] != ALL and row["case"] in names]
    assert [(r["case"], r["task"], float(r["score"])) for r in read] == [
        (row["case"], row["task"], row["score"]) for row in wanted
    ]
    lines = copied(view, table, "Markdown").splitlines()
    assert len(lines) == 2 + len(names) and {line.count("|") for line in lines} == {
        lines[0].count("|")
    }
    assert lines[2].startswith("| yesno | half from the start |")
    tex = copied(view, table, "LaTeX")
    assert tex.startswith(r"\begin{tabular}{l") and tex.endswith("\\end{tabular}\n")
    assert tex.count("half from the start") == len(names) and "%" not in tex.replace(r"\%", "")
    table.get_by_role("searchbox").fill("")


def test_the_data_of_every_figure_are_given(view: "View", rows: list[list[Row]]) -> None:
    view.ask("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    buttons = view.page.locator("[data-download]")
    charts = view.page.locator(".plotly-graph-div")
    assert buttons.count() == charts.count() > 6
    for button in buttons.all():
        if not button.is_visible():  # of a search that is folded, or a front of another task
            continue
        view.page.wait_for_timeout(120)  # Chromium begins ten downloads a second at most
        with view.page.expect_download() as given:
            button.click()
        name = button.get_attribute("data-download") or ""
        assert given.value.suggested_filename == f"{name}.csv"
        read = list(csv.reader(io.StringIO(Path(given.value.path()).read_text(encoding="utf-8"))))
        front = re.fullmatch(r"front-(\d)", name)
        if front and int(front[1]) < len(rows):
            at = read[0].index("speedup_ideal")
            found = [float(line[at]) for line in read[1:]]
            assert found == [row["speedup_ideal"] for row in rows[int(front[1])]]
        elif not front:
            assert len(read) - 1 == view.ask(DRAWN_POINTS, name) > 0


def test_a_legend_hides_a_line_and_brings_it_back(view: "View") -> None:
    line = view.page.locator("[data-chart=figure-0-0][data-line='0']")
    for visible in (False, True):
        line.click()
        shown: Any = view.ask("() => document.getElementById('figure-0-0').data[0].visible")
        assert shown is visible and line.get_attribute("aria-pressed") == str(visible).lower()


def test_the_map_of_what_is_kept_is_darkest_at_the_worst(
    view: "View", rows: list[list[Row]]
) -> None:
    def share(row: Row) -> float:
        return float(row["score_relative"])

    own = [row for row in rows[1] if row["task"] != ALL and row["score_relative"] is not None]
    worst = min(own, key=share)
    said = view.page.locator("#retention .worst").nth(1).inner_text()
    assert said.startswith(f"Worst task: {worst['task']}, of which “{worst['case']}” keeps")
    dark = """table => {
      const heat = cell => parseFloat(cell.style.getPropertyValue("--heat"));
      const cells = [...table.querySelectorAll("tr:not(.baseline) td[data-heat]")];
      const light = cell => getComputedStyle(cell).backgroundColor;
      const sorted = cells.sort((a, b) => heat(b) - heat(a));
      return [sorted[0].innerText, light(sorted[0]) === light(sorted.at(-1))];
    }"""
    text, same = view.page.locator("#retention-1").evaluate(dark)
    assert text.strip() == f"{100 * share(worst):.1f} %" and not same


def test_everything_that_was_given_is_there(view: "View") -> None:
    sections = ("samples", "front", "pairs", "results", "retention", "figures", "achieved")
    for section in (*sections, "searches", "presets", "benches", "controls", "provenance"):
        assert view.page.locator(f"#{section} h2").count() >= 1, section
    assert column(view.page.locator("#provenance-0"), 2) == [
        *("study", "study", "search", "preset", "bench")
    ]
    assert view.page.locator(".missing").count() == 0
    links = view.ask("() => [...document.querySelectorAll('nav a')].map(one => one.hash)")
    assert len(links) == 12 and all(view.page.locator(own).count() == 1 for own in links)
