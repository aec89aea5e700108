"""Tables of methods: seeds, averages by hand, published figures, and how they are shown."""

import csv
import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from saccade.controller import AfterShare
from saccade.controller.errors import StudyError
from saccade.studies.analysis.methods import (
    PUBLISHED,
    has_methods,
    methods_of,
    published,
    published_average,
    relative_average,
)
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.cases import load_study
from saccade.studies.config.study import Case, StudyConfig, plan_units
from saccade.studies.reports.methods_table import methods_group
from saccade.studies.reports.report import report_html
from saccade.studies.reports.terminal import print_group
from saccade.studies.runs.records import read_run
from saccade.studies.runs.runner import run_study

TABLES = ["table1", "table2", "table3"]
CONFIGS = Path(__file__).parents[3] / "studies" / "configs"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = StudyConfig.model_validate(
        {
            "name": "small",
            "seeds": [0, 3],
            "samples": 3,
            "batch": 2,
            "tasks": ["yesno", "code"],
            "cases": [
                {"name": "none"},
                _case("DivPrune", "after 75 %", share=0.75, keep=0.25),
                _case("ToMe", "keep 50 %", share=0, keep=0.5),
            ],
        }
    )
    return run_study(config, tmp_path_factory.mktemp("run"))


def _case(method: str, group: str, **policy: Any) -> dict[str, Any]:
    return {
        "name": f"{method}, {group}",
        "method": method,
        "group": group,
        "policy": repr(AfterShare(**policy)),
        "pruner": method.lower(),
    }


def test_every_seed_has_samples_of_its_own(run: Path) -> None:
    _, config, records = read_run(run)
    units = plan_units(config)
    assert [(u.seed, u.number, u.samples) for u in units if u.task == "code"] == [
        (0, 0, (0, 1)),
        (0, 1, (2,)),
        (3, 2, (0, 1)),
        (3, 3, (2,)),
    ]
    questions = {(r.seed, r.sample): r.expected for r in records if r.task == "code"}
    assert len(questions) == 6 and len(set(questions.values())) == 6
    assert "seed" not in config.plain() and config.plain()["seeds"] == [0, 3]


def test_errors_over_seeds_and_averages_by_hand(run: Path) -> None:
    summary = summarise(run)
    assert has_methods(summary)
    _, _, records = read_run(run)
    case = "ToMe, keep 50 %"

    def mean(name: str, task: str, seed: int) -> float:
        own = [r.score for r in records if (r.case, r.task, r.seed) == (name, task, seed)]
        return sum(own) / len(own)

    row = next(r for r in summary.rows() if r["case"] == case and r["task"] == "code")
    a, b = mean(case, "code", 0), mean(case, "code", 3)
    assert row["score"] == pytest.approx((a + b) / 2)
    assert row["score_seed_se"] == pytest.approx(abs(a - b) / 2)
    ratios = [
        sum(mean(case, task, seed) / mean("none", task, seed) for task in ("yesno", "code")) / 2
        for seed in (0, 3)
    ]
    own = [r for r in records if r.case == case]
    base = [r for r in records if r.case == "none"]
    average, error = relative_average(own, base, ["yesno", "code"])
    assert average == pytest.approx(50 * sum(ratios))
    assert error == pytest.approx(50 * abs(ratios[0] - ratios[1]))


def test_a_task_in_which_nothing_was_dropped_does_not_count(run: Path) -> None:
    table = methods_of(summarise(run))
    lines = {line.method: (group, line) for group, lines in table.groups for line in lines}
    assert table.seeds == 2 and [group for group, _ in table.groups] == [
        "",
        "after 75 %",
        "keep 50 %",
    ]
    late = lines["DivPrune"][1]
    assert late.cells[0] is None and late.cells[1] is not None  # two steps: 75 % is never
    ideal = {r["task"]: r for r in summarise(run).rows() if r["case"] == late.case}
    assert late.ideal == pytest.approx(ideal["code"]["speedup_ideal"])
    assert lines["none"][1].relative[0] == pytest.approx(100)
    assert lines["ToMe"][1].published == pytest.approx(91.3)  # table 1, LLaDA-V, keep 50 %
    assert all(
        value is None or math.isfinite(value)
        for row in table.rows()
        for value in (row["speedup"], row["relative_average"], row["relative_average_published"])
    )


def test_the_table_in_the_terminal_and_in_the_report(run: Path) -> None:
    summary, text = summarise(run), StringIO()
    table = methods_group(methods_of(summary))
    print_group(table, Console(file=text, width=100))
    shown = text.getvalue()
    assert max(map(len, shown.splitlines())) <= 100
    assert "keep 50 %" in shown and "91.3" in shown
    assert "not measured here" in " ".join(shown.split())
    narrow = StringIO()
    print_group(table, Console(file=narrow, width=60))
    assert max(map(len, narrow.getvalue().splitlines())) <= 60
    assert "<td>91.3</td>" in report_html(summary)


def test_a_study_of_schedules_has_no_such_table(run: Path) -> None:
    assert not has_methods(
        type(summarise(run))(
            *(getattr(summarise(run), name) for name in ("frame", "recipe")),
            StudyConfig(name="x", cases=(Case(name="none"), Case(name="b"))),
            0,
            1,
        )
    )


def test_published_tables_ship_as_they_were_printed() -> None:
    rows = published()
    assert len(rows) == 34 + 64
    for row in rows:
        assert row["backbone"] in ("LLaDA-V", "LaViDa-Dream")
    for path in PUBLISHED.glob("*.csv"):
        assert list(csv.reader(path.read_text().splitlines()))
    vtw = Case.model_validate({"name": "v", "method": "VTW", "policy": "vtw(layer=3)"})
    assert published_average(vtw, "from-scratch") == 44.5
    assert published_average(vtw, "autoregressive") is None
    late = Case.model_validate(_case("DivPrune", "x", share=0.5, keep=0.25))
    scores = [
        float(r["score"]) / float(r["baseline_score"])
        for r in rows
        if r.get("share_of_steps") == "0.50"
        and (r["method"], r["backbone"]) == ("DivPrune", "LLaDA-V")
    ]
    assert published_average(late, "from-scratch") == pytest.approx(100 * sum(scores) / len(scores))


@pytest.mark.parametrize("name", TABLES)
def test_shipped_tables_are_about_methods(name: str) -> None:
    config = load_study(CONFIGS / f"{name}.yaml")
    assert config.name == name and len(config.every_seed) == 3
    methods = {case.method for case in config.cases if case.method}
    assert {"DivPrune", "FastV", "SparseVLM", "VTW", "random", "uniform"} <= methods
    assert all(case.group for case in config.cases if case.name != config.baseline)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [1, 1]}, "different whole numbers"),
        ({"seeds": [-1]}, "different whole numbers"),
        ({"seed": 1, "seeds": [2]}, "give seed or seeds, not both"),
    ],
)
def test_wrong_seeds_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    content = {"name": "x", "cases": [{"name": "none"}], **change}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_a_method_without_a_group_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    cases = [{"name": "none"}, {"name": "a", "method": "A"}]
    path.write_text(json.dumps({"name": "x", "cases": cases}))
    with pytest.raises(StudyError, match="give both method and group, or neither"):
        load_study(path)
