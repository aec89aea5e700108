"""The report's page: figures to the last digit, hostile names as text, what is missing named."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saccade.controller.errors import StudyError
from saccade.studies.analysis.overall import ALL
from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import COLUMNS
from saccade.studies.cli import app
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.compare.page import comparison_html, copies
from saccade.studies.reports.compare.sources import read_sources
from saccade.studies.reports.table import Cell, Column, Table
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]
EVIL = "</script><img src=http://example.org/x onerror=alert(1)>%{x}\u2028 & 'all'"


class Page(HTMLParser):
    """Tags, the texts of tags with an id, and the text outside of scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text, self.data = "", ""
        self.inside = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = ("id", "front-data") in attrs
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data += data
        if self.cdata_elem is None:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def front_of(source: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Page(source).data)
    return found


def varied(record: Record) -> Record:
    kind = 1 + len(record.case) % 7
    wrong = record.case != "none" and record.sample % 3 == 0
    seconds = 1 / kind + 0.01 * ((3 * record.unit + kind) % 5)
    score = 0.0 if wrong else 1 / 3
    return replace(record, seconds=seconds, macs=1000 - 100 * kind, score=score)


def html_of(*folders: Path, **options: Any) -> str:
    return comparison_html(read_sources(folders), **options)


def test_figures_are_those_of_study_show(config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, varied)
    shown = CliRunner().invoke(app, ["study", "show", str(folder), "--json"])
    cases = json.loads(shown.stdout)["cases"]
    front = front_of(html_of(folder))
    (group,) = front["groups"]
    rows = [dict(zip(front["columns"], row, strict=True)) for row in group["rows"]]
    own = [{name: row[name] for name in COLUMNS} for row in rows if row["task"] != ALL]
    assert own == cases, "to the last digit"


@pytest.mark.parametrize("name", ["figure1", "positions", "figure2"])
def test_committed_results_are_read_as_they_lie(name: str, tmp_path: Path) -> None:
    folder = Path(__file__).parents[4] / "studies" / "results" / name
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    shown = CliRunner().invoke(app, ["study", "show", str(folder), "--json"])
    told = json.loads(shown.stdout)
    front = front_of(html_of(folder))
    for model, group in zip(told.get("models", [told]), front["groups"], strict=True):
        rows = [dict(zip(front["columns"], row, strict=True)) for row in group["rows"]]
        own = [{key: row[key] for key in COLUMNS} for row in rows if row["task"] != ALL]
        assert own == model["cases"]
        assert all(row["gen_length"] for row in rows if row["task"] != ALL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_fronts_are_those_that_nothing_beats(config: StudyConfig, made_run: MakeRun) -> None:
    front = front_of(html_of(made_run(config, varied)))
    (group,) = front["groups"]
    rows = [dict(zip(front["columns"], row, strict=True)) for row in group["rows"]]
    assert group["tasks"] == [ALL, "yesno", "code"]
    for task in group["tasks"]:
        own = [row for row in rows if row["task"] == task]
        for axis in ("speedup", "speedup_ideal", "speedup_projected"):
            told = [rows[i] for i in group["fronts"][task][axis]]
            assert told == pareto_front(own, axis) and told
            assert 0 <= group["areas"][task][axis] <= 1


def test_hostile_names_are_text(config: StudyConfig, made_run: MakeRun) -> None:
    cases = (
        Case(name="none"),
        Case.model_validate(
            {
                "name": EVIL,
                "method": EVIL + "method",
                "group": EVIL + "group",
                "policy": "after_share(0, keep=0.5)",
                "pruner": "random",
            }
        ),
    )
    named = config.model_copy(update={"name": EVIL, "cases": cases})
    source = html_of(made_run(named, varied), command=f"saccade report {EVIL}")
    page = Page(source)
    assert "img" not in page.tags and EVIL not in source
    assert {own for own in page.links if own[0] != "#"} == {"data:,"}, "and parts of the page"
    assert page.text.count(EVIL) > 6
    assert EVIL in front_of(source)["groups"][0]["cases"]
    values = [json.loads(own) for own in re.findall(r"data-values>(.*?)</script>", source)]
    assert values and all("from" in own or own["rows"] for own in values)
    assert len(re.findall("</script", source)) == len(re.findall("<script", source))
    assert "%{x}" not in "".join(re.findall(r"data-figure=.*", source))


def test_answers_do_no_harm_whatever_is_in_them(config: StudyConfig, made_run: MakeRun) -> None:
    def hostile(record: Record) -> Record:
        answer = EVIL + "\n" + ("x" * 2_000_000 if record.sample == 1 else "")
        return replace(varied(record), answer=answer)

    small = config.model_copy(update={"samples": 2, "tasks": ("yesno",)})
    source = html_of(made_run(small, hostile))
    assert "img" not in Page(source).tags and "xxxx" not in source
    assert len(source.encode()) < 6e6


def test_what_is_missing_is_said_first(config: StudyConfig, made_run: MakeRun) -> None:
    source = html_of(made_run(config, varied, units=4))
    head = Page(source.partition("</header>")[0]).text
    assert "made-up · embedded/llada-v is unfinished: 4 of 6 units are in." in head
    text = Page(source).text
    assert "Missing: No run kept what it measured" in text
    assert "Missing: No run has cases that start to prune at different times." in text
    for name in ("no-op", "shorter canvas", "cached"):
        assert name in text
    assert text.count("missing") >= 3 and "not recorded" in text


def test_a_run_without_records_is_told(config: StudyConfig, made_run: MakeRun) -> None:
    page = Page(html_of(made_run(config, varied, units=0)))
    assert "has no records yet" in page.text and "There is no score to compare" in page.text


def test_runs_of_other_recipes_are_not_paired(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(made_run(config, varied), other)
    recipe = json.loads((other / "recipe.json").read_text())
    recipe["hardware"]["threads"] = 2
    (other / "recipe.json").write_text(json.dumps(recipe))
    text = Page(html_of(tmp_path / "run", other)).text
    assert "Different recipes of embedded/llada-v" in text and "hardware" in text
    labels = {group["label"] for group in front_of(html_of(tmp_path / "run", other))["groups"]}
    assert len(labels) == 2


def test_the_baseline_can_be_pinned(config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, varied)
    assert "against “half”" in Page(html_of(folder, baseline="half")).text
    with pytest.raises(StudyError, match="--baseline.*'full'.*none, half"):
        html_of(folder, baseline="full")


def test_the_best_setting_and_its_cost_come_first(config: StudyConfig, made_run: MakeRun) -> None:
    def better(record: Record) -> Record:
        own = varied(record)
        return replace(own, score=1.0, answer="No" if record.sample == 0 else "Yes")

    lead = re.findall(r'<p class="lead">(.*?)</p>', html_of(made_run(config, better)))
    assert [text.partition(" (")[0] for text in lead] == ["Short answers", "Long answers"]
    assert all("no setting is faster" in text for text in lead), "both take as long"
    folder = made_run(config, lambda r: replace(better(r), seconds=0.1 * (r.case == "none")))
    lead = re.findall(r'<p class="lead">(.*?)</p>', html_of(folder))
    assert all("“half” is 2.00 times as fast" in text for text in lead)
    assert all("at 100.0 % of the unpruned score" in text for text in lead)


def test_a_section_of_samples_is_taken_as_it_is(config: StudyConfig, made_run: MakeRun) -> None:
    asked: list[Any] = []

    def samples(summaries: Any, n: int, baseline: str | None, progress: Any = None) -> str:
        asked.append((len(summaries), n, baseline))
        return '<section id="samples"><b>here</b></section>'

    source = html_of(made_run(config, varied), n_samples=7, baseline="half", samples=samples)
    assert asked == [(1, 7, "half")] and '<section id="samples"><b>here</b></section>' in source
    assert source.index('id="samples"') < source.index('id="front"')


def test_copies_have_plain_values_and_say_how_columns_sort() -> None:
    columns = [
        Column("a", lambda row: Cell("1.0", values={"x": row, "y": 2})),
        Column("b", lambda row: Cell("text")),
    ]
    found = copies(Table.of("", "name", columns, [("one", float("nan")), ("two", 0.1)]))
    assert found == {
        "keys": ["name", "x", "y"],
        "rows": [["one", None, 2], ["two", 0.1, 2]],
        "order": [0, 1, -1],
    }


def test_results_share_their_values_with_the_front(config: StudyConfig, made_run: MakeRun) -> None:
    source = html_of(made_run(config, varied))
    front = front_of(source)
    table = source[source.index('id="results-0"') :]
    told = json.loads(re.findall(r"data-values>(.*?)</script>", table)[0])
    rows = front["groups"][told["from"]]["rows"]
    names = re.findall(r'<tr data-row="(\d+)"[^>]*><th scope="row">.*?</span>([^<]*)</th>', table)
    case = front["columns"].index("case")
    shown = names[: len(config.cases) * len(config.tasks)]
    assert [rows[int(i)][case] for i, _ in shown] == [name for _, name in shown]
    assert [int(i) for i, _ in shown] == list(range(len(shown)))
    assert front["columns"][told["order"][0]] == "case" and -1 not in told["order"]
