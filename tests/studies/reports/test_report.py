"""The report needs nothing but itself, and shows names as text whatever they hold."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from saccade.controller import StudyError
from saccade.controller.types import Origin
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.report import WAYS, report_html, write_report
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]
EVIL = "</script><img src=http://example.org/x onerror=alert(1)>%{x} $title & 'all'"


class Page(HTMLParser):
    """Tags, their attributes, and the text outside of scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]) or self.cdata_elem is None:
            self.text += data


@pytest.fixture
def evil(config: StudyConfig, made_run: MakeRun) -> str:
    """The page of a study whose names are hostile."""
    named = config.model_copy(update={"name": EVIL, "cases": (Case(name="none"), Case(name=EVIL))})

    def spread(record: Record) -> Record:
        return replace(record, seconds=1.0 + record.unit + len(record.case) / 9)

    return report_html(summarise(made_run(named, spread)))


def test_nothing_is_fetched(evil: str) -> None:
    page = Page(evil)
    assert page.links == ["data:,"]
    assert not {"iframe", "object", "embed", "base"} & set(page.tags)
    style = re.findall(r"<style>(.*?)</style>", evil, flags=re.DOTALL)[0]
    assert "url(" not in style
    assert "@import" not in style


def test_names_are_text(evil: str) -> None:
    page = Page(evil)
    assert "img" not in page.tags
    assert page.text.count(EVIL) >= 4  # title, heading, legend, one row per task
    assert EVIL not in evil
    assert "%{x}" not in "".join(re.findall(r"data-figure=.*", evil))


def test_names_of_methods_and_models_are_text(config: StudyConfig, made_run: MakeRun) -> None:
    cases = (
        Case(name="none"),
        Case.model_validate(
            {
                "name": "dropped",
                "method": EVIL + "method",
                "group": EVIL + "group",
                "policy": "after_share(0, keep=0.5)",
                "pruner": "random",
            }
        ),
    )
    summary = summarise(made_run(config.model_copy(update={"cases": cases})))
    other = replace(summary, config=summary.config.model_copy(update={"model": EVIL + "model"}))
    source = report_html(summary, other)
    page = Page(source)
    assert "img" not in page.tags and EVIL not in source
    for name in ("method", "group"):
        assert page.text.count(EVIL + name) == 4, "table and recipe of each model"
    assert page.text.count(EVIL + "model") >= 5  # lead, two overviews, charts, results


def test_the_page_holds_charts_table_and_recipe(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config))
    page = Page(report_html(summary))
    assert page.tags.count("figure") == len(config.tasks)
    assert page.tags.count("tbody") == len(config.tasks)
    assert page.tags.count("tr") == 1 + len(config.tasks) * (1 + len(config.cases))
    assert json.dumps(summary.recipe, indent=2) in page.text
    assert "unfinished" not in page.text
    assert page.tags.count("script") == page.tags.count("figure") + 5


def test_of_several_models_every_heading_names_its_own(
    config: StudyConfig, made_run: MakeRun
) -> None:
    named = {"method": "some", "group": "all", "policy": "after_share(0, keep=0.5)"}
    cases = (Case(name="none"), Case.model_validate({"name": "a", "pruner": "random", **named}))
    one = summarise(made_run(config.model_copy(update={"cases": cases})))
    other = replace(one, config=one.config.model_copy(update={"model": "another/model"}))
    page = report_html(one, other)
    headings = re.findall(r"<h[23]>(.*?)</h[23]>", page)
    repeated = {heading for heading in headings if headings.count(heading) > 1}
    assert all("/" in heading for heading in repeated), "only names of models come back"
    for summary in (one, other):
        assert f"Methods: {summary.config.model} (from-scratch)" in headings
    assert "<h2>Methods</h2>" in report_html(one)


def test_the_lead_says_what_cases_decide_by(config: StudyConfig, made_run: MakeRun) -> None:
    told = Case(name="told", policy="after_share(0, keep=0.5)", pruner="random")
    cases = (Case(name="none"), Case(name="sees", policy="auto()"), told)
    summary = summarise(made_run(config.model_copy(update={"cases": cases})))
    for page in (report_html(summary), report_html(summary, summary)):
        lead = page.split('class="lead">')[1].split("</p>")[0]
        assert "“sees” decides by the model&#39;s signals" in lead
        assert "“told” drops or skips visual tokens by a fixed schedule" in lead
        assert "schedule of its own" not in page
        assert "<dt>told</dt><dd><code>after_share(0, keep=0.5), pruner random</code></dd>" in page


def test_colours_of_the_page_come_from_variables_that_dark_pages_set(
    config: StudyConfig, made_run: MakeRun
) -> None:
    page = report_html(summarise(made_run(config)))
    style = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)[0]
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")
    names = set(re.findall(r"(--[a-z-]+): #", light))
    assert names and names == set(re.findall(r"(--[a-z-]+): #", dark))
    used = set(re.findall(r"var\((--[a-z-]+)\)", style)) - {"--filled"}
    assert used <= names
    assert "prefers-color-scheme" in page.split("</main>")[1], "the charts' script listens"


def test_an_unfinished_run_says_so(config: StudyConfig, made_run: MakeRun) -> None:
    assert "unfinished: 2 of 6 units" in report_html(summarise(made_run(config, units=2)))
    assert "unfinished: 0 of 6 units" in report_html(summarise(made_run(config, units=0)))


def test_it_is_written_as_one_file(config: StudyConfig, made_run: MakeRun, tmp_path: Path) -> None:
    summary = summarise(made_run(config))
    write_report(summary, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_html(summary)
    with pytest.raises(StudyError, match="report cannot be written"):
        write_report(summary, tmp_path / "absent" / "report.html")


@pytest.mark.parametrize("origin", get_args(Origin))
def test_the_lead_says_how_models_of_an_origin_answer(
    config: StudyConfig, made_run: MakeRun, origin: Origin
) -> None:
    summary = summarise(made_run(config))
    backbone = {"name": "some model", "origin": origin}
    changed = replace(summary, recipe=summary.recipe | {"backbone": backbone})
    assert (
        f"some model ({origin}), {WAYS[origin]}. “half” drops or skips"
        in Page(report_html(changed)).text
    )


def test_only_axes_with_values_can_be_chosen(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config))
    assert [f'data-axis="{i}"' in report_html(summary) for i in range(4)] == [True] * 3 + [False]
    cached = replace(summary, frame=summary.frame.assign(speedup_projected=float("nan")))
    page = report_html(cached)
    assert ">Projected</button>" not in page and 'data-axis="2"' not in page
    assert ">Measured</button>" in report_html(summarise(made_run(config, units=0)))
