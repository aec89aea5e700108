"""Charts of figures 1 and 2: what they draw is what the records say."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.cases import load_study
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.reports.paper_figures import (
    CHARTS,
    line_names,
    mean_signals,
    signal_charts,
    signals_figure,
    start_figure,
    start_keys,
    watched_cases,
)
from saccade.studies.reports.report import report_html
from saccade.studies.runs.runner import run_study
from tests.studies.analysis.test_projection import Record
from tests.studies.unit_files import lines as unit_lines

STUDY = """
name: both
samples: 2
batch: 2
tasks: [digit, code]
baseline: none
cases:
  - name: none
  - {name: start, policy: "after_share(0, keep=0.25)", pruner: random}
  - {name: half, policy: "after_share(0.5, keep=0.25)", pruner: random}
  - {name: watched, policy: keep, probe: all}
"""


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("figures")
    path = folder / "both.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return summarise(run_study(load_study(path), folder / "run"))


def test_the_start_of_pruning(summary: Summary) -> None:
    figure = start_figure(summary)
    rows = {(row["task"], row["case"]): row for row in summary.rows()}
    assert [line.name for line in figure.data] == ["digit", "code"]
    for line in figure.data:
        assert list(line.x) == [0.0, 0.5]
        wanted = [rows[line.name, case]["score_relative"] for case in ("start", "half")]
        assert list(line.y) == wanted


def test_cases_that_differ_in_more_have_lines_of_their_own() -> None:
    def case(name: str, keep: float, **more: Any) -> Case:
        policy = f"after_share(share=0.5, keep={keep})"
        return Case.model_validate({"name": name, "policy": policy, "pruner": "random", **more})

    forward_groups = [case("a", 0.25), case("b", 0.25)]
    assert line_names(forward_groups) == {"a": "random", "b": "random"}
    names = line_names([*forward_groups, case("c", 0.5), case("d", 0.25, positions="compact")])
    assert names["a"] == names["b"] == "random, keep 25%, original"
    assert names["c"] == "random, keep 50%, original"
    assert names["d"] == "random, keep 25%, compact"


def test_records_hold_what_a_watched_case_showed(summary: Summary) -> None:
    for record in summary.records:
        watched = record.case == "watched"
        assert len(record.attention) == (record.forwards if watched else 0)
        assert len(record.confidences) == (record.forwards if watched else 0)
        for visual, response in record.attention:
            assert len(visual) == len(response) == 6
            assert all(0 <= v <= 1 for v in (*visual, *response) if v is not None)


def test_means_of_signals_lay_answers_over_their_share_of_steps(blank: Any) -> None:
    def shown(*values: float) -> Record:
        attention = [([v, v], [1 - v, 0.0]) for v in values]
        record: Record = blank("a", "code", 0, 0, attention=attention, confidences=list(values))
        return record

    masses, sure = mean_signals([shown(0.2, 0.4), shown(0.1, 0.2, 0.3, 0.4)])
    assert masses.shape == (4, 2, 2)
    assert sure.tolist() == pytest.approx([0.15, 0.2, 0.35, 0.4])
    assert masses[:, 0, 1].tolist() == pytest.approx([0.15, 0.2, 0.35, 0.4])
    assert masses[:, 1, 0].tolist() == pytest.approx([0.85, 0.8, 0.65, 0.6])


def test_a_case_without_measured_attention_is_not_drawn(
    made_run: Callable[..., Path], config: StudyConfig
) -> None:
    def bare(record: Record) -> Record:
        return replace(record, attention=[([], [])] * 4, confidences=[0.9] * 4)

    run = summarise(made_run(config, bare))
    assert watched_cases(run) == [] and signal_charts([run]) == []


def test_signals_are_drawn_per_task(summary: Summary) -> None:
    assert watched_cases(summary) == ["watched"]
    figure = signals_figure(summary, "watched")
    kinds = [part.type for part in figure.data]
    assert kinds == ["heatmap", "heatmap", "scatter"] * 2
    watched = [r for r in summary.records if r.case == "watched" and r.task == "code"]
    masses, sure = mean_signals(watched)
    assert np.allclose(np.array(figure.data[3].z), masses[:, 0].T)
    assert np.allclose(np.array(figure.data[5].y), sure)


def test_the_report_has_both(summary: Summary) -> None:
    page = report_html(summary)
    assert "Score against when pruning starts" in page
    assert "Attention of the answer, and confidence" in page


def test_studies_without_either_have_neither(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(STUDY.split("  - {name: half")[0], encoding="utf-8")
    plain = summarise(run_study(load_study(path), tmp_path / "run"))
    assert [group.draw([plain]) for group in CHARTS] == [[], []]
    lines = unit_lines(tmp_path / "run")
    assert {len(json.loads(line)["attention"]) for line in lines} == {0}


def test_lines_of_the_start_have_a_legend_of_the_page(summary: Summary) -> None:
    figure, keys = start_figure(summary), start_keys(summary)
    assert not figure.layout.showlegend
    assert [line.name for line in figure.data] == [key.name for key in keys]
    assert [line.line.color for line in figure.data] == [key.colour for key in keys]
    page = report_html(summary)
    for i, key in enumerate(keys):
        assert re.search(
            rf'data-chart="figure-0-0" data-line="{i}".*\n.*</svg>.*{key.glyph}</span>{key.name}<',
            page,
        )


def test_many_lines_look_different(summary: Summary) -> None:
    def case(method: int, share: float) -> Case:
        policy = f"after_share(share={share}, keep=0.25)"
        name = f"{method}, {share}"
        shown = {"name": name, "policy": policy, "pruner": "random", "group": "all"}
        return Case.model_validate({**shown, "method": f"method {method}"})

    cases = [case(method, share) for method in range(15) for share in (0.0, 0.5)]
    row = next(row for row in summary.rows() if row["case"] == "half")
    rows = [{**row, "case": c.name, "task": task} for c in cases for task in ("digit", "code")]
    config = summary.config.model_copy(update={"cases": tuple(cases)})
    many = replace(summary, config=config, frame=pd.DataFrame(rows))
    figure = start_figure(many)
    looks = {(line.line.color, line.line.dash, line.marker.symbol) for line in figure.data}
    assert len(looks) == len(figure.data) == len(start_keys(many)) == 30
    assert figure.layout.height == start_figure(summary).layout.height


def test_axes_show_everything_with_room(summary: Summary) -> None:
    figure = start_figure(summary)
    low, high = figure.layout.yaxis.range
    for line in figure.data:
        for value, error in zip(line.y, line.error_y.array, strict=True):
            assert low < value - error and value + error < high
    left, right = figure.layout.xaxis.range
    assert left < 0 and right > 1
    signals = signals_figure(summary, "watched")
    for part in (signals.data[2], signals.data[5]):
        low, high = signals.layout["yaxis" + part.yaxis[1:]].range
        assert low < min(part.y) and max(part.y) < high and high - low >= 0.1
