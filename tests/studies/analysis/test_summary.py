"""Summaries against a slow count, by formulas written out a second time."""

import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saccade.controller import StudyError
from saccade.studies.analysis import summary as module
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.analysis.summary import COLUMNS, COMMITTED, summarise
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import read_run

MakeRun = Callable[..., Path]


def noisy(record: Record) -> Record:
    """Random figures, the same for the same record; times shared by a unit, as in a real run."""
    own = random.Random(f"{record.case}, {record.task}, {record.sample}")
    unit = random.Random(f"{record.case}, {record.task}, {record.unit}")
    low = own.randint(1, 99)
    return replace(
        record,
        score=own.random(),
        seconds=unit.uniform(0.5, 2),
        prepare_seconds=random.Random(record.unit).uniform(0.1, 0.2),
        macs=own.randint(500, 900),
        macs_paper=own.randint(400, 800),
        visual_runs=[(2, [100] * 4), (2, [low] * 4)],
        visual_tokens=2 * 400 + 2 * 4 * low,
        visual_tokens_ratio=(2 * 400 + 2 * 4 * low) / 1600,
    )


def price(record: Record) -> int:
    """Projected multiply-accumulates, by the published sizes."""
    total = 0
    for steps, layers in record.visual_runs:
        for layer in range(32):
            n = round(layers[layer * len(layers) // 32] / 100 * 3645) + 130 + record.response
            total += steps * (n * (4 * 4096**2 + 3 * 4096 * 12288) + 2 * n * n * 4096)
    return total


def count_slowly(records: list[Record], case: str, task: str) -> dict[str, Any]:
    own = [r for r in records if (r.case, r.task) == (case, task)]
    base = [r for r in records if (r.case, r.task) == ("none", task)]

    def ratio(of: Callable[[Record], float]) -> float:
        return sum(of(r) for r in base) / sum(of(r) for r in own)

    def time(rows: list[Record], unit: int) -> float:
        return statistics.mean(r.seconds + r.prepare_seconds for r in rows if r.unit == unit)

    units = sorted({r.unit for r in own})
    scores = [r.score for r in own]
    return {
        "n": len(own),
        "score": statistics.mean(scores),
        "score_se": statistics.stdev(scores) / math.sqrt(len(own)),
        "score_relative": ratio(lambda r: r.score) ** -1,
        "speedup": statistics.geometric_mean([time(base, u) / time(own, u) for u in units]),
        "speedup_ideal": ratio(lambda r: r.macs + r.prepare_macs),
        "speedup_ideal_paper": ratio(lambda r: r.macs_paper),
        "speedup_projected": ratio(price),
        "seconds_per_sample": statistics.mean(r.seconds + r.prepare_seconds for r in own),
        "visual_tokens_ratio": statistics.mean(r.visual_tokens_ratio for r in own),
        "visual_tokens": statistics.mean(r.visual_tokens for r in own),
        "macs": statistics.mean(r.macs for r in own),
        "macs_paper": statistics.mean(r.macs_paper for r in own),
    }


def test_agrees_with_the_slow_count(config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, noisy)
    records = read_run(folder)[2]
    summary = summarise(folder)
    assert summary.finished
    assert [(row["task"], row["case"]) for row in summary.rows()] == [
        (task, case) for task in ("yesno", "code") for case in ("none", "half")
    ]
    for row in summary.rows():
        for name, value in count_slowly(records, row["case"], row["task"]).items():
            assert row[name] == pytest.approx(value), (row["case"], row["task"], name)


def test_the_baseline_compares_with_itself(config: StudyConfig, made_run: MakeRun) -> None:
    row = summarise(made_run(config, noisy)).rows()[0]
    names = ("score_relative", *(name for name in COLUMNS if name.startswith("speedup")))
    assert {name: row[name] for name in names} == dict.fromkeys(names, 1.0)


def test_the_interval_holds_the_mean_and_is_repeatable() -> None:
    draw = random.Random(4)
    baseline = {unit: draw.uniform(1.8, 2.2) for unit in range(12)}
    case = {unit: draw.uniform(0.9, 1.1) for unit in range(12)}
    speedup, low, high = paired_speedup(baseline, case)
    assert low < speedup < high
    assert (speedup, low, high) == paired_speedup(baseline, case)
    logs = [math.log(baseline[u] / case[u]) for u in range(12)]
    half = 2.200985 * statistics.stdev(logs) / math.sqrt(12)  # Student's t, 11 degrees of freedom
    assert math.log(low) == pytest.approx(math.log(speedup) - half)
    assert math.log(high) == pytest.approx(math.log(speedup) + half)


@pytest.mark.parametrize("units", [2, 3, 6])
def test_the_interval_covers_the_truth_as_often_as_it_says(units: int) -> None:
    draw, hits, runs = random.Random(units), 0, 1000
    for _ in range(runs):
        case = {unit: math.exp(draw.gauss(0, 0.1)) for unit in range(units)}
        _, low, high = paired_speedup(dict.fromkeys(case, 1.0), case)
        hits += low <= 1 <= high
    assert 0.93 < hits / runs < 0.97


def test_pairing_removes_what_both_share() -> None:
    baseline = {0: 1.0, 1: 10.0, 2: 100.0}
    case = {unit: seconds / 2 for unit, seconds in baseline.items()}
    assert paired_speedup(baseline, case) == pytest.approx((2, 2, 2))


def test_what_is_not_defined_is_null(config: StudyConfig, made_run: MakeRun) -> None:
    small = config.model_copy(update={"samples": 1})
    content = summarise(made_run(small, lambda r: replace(r, score=0.0))).to_json()
    for row in content["cases"]:
        for name in ("score_se", "score_relative", "speedup_low", "speedup_high"):
            assert row[name] is None
        assert row["speedup"] == 1.0


def test_the_form_for_machines(config: StudyConfig, made_run: MakeRun) -> None:
    folder = made_run(config, noisy)
    content = summarise(folder).to_json()
    assert list(content) == ["cases", "finished", "units_done", "units", "recipe"]
    assert (content["finished"], content["units_done"], content["units"]) == (True, 6, 6)
    assert [tuple(row) for row in content["cases"]] == [COLUMNS] * 4
    assert content["cases"][1]["case"] == "half"
    assert content["cases"][1]["backbone"] == "embedded/llada-v"
    assert content["cases"][1]["origin"] == "from-scratch"
    assert content["recipe"] == json.loads((folder / "recipe.json").read_text())
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_an_unfinished_run_is_summarised(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, units=2))
    assert (summary.done, summary.total, summary.finished) == (2, 6, False)
    assert [(row["task"], row["n"]) for row in summary.rows()] == [("yesno", 4)] * 2
    nothing = summarise(made_run(config, units=0))
    assert (nothing.done, nothing.rows()) == (0, [])


def test_what_is_written_is_the_frame(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path
) -> None:
    folder = made_run(config, noisy)
    summary = summarise(folder)
    summary.write(folder)
    assert list(summary.frame.columns) == [*COLUMNS, *COMMITTED]
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "summary.parquet"), summary.frame)
    read = pd.read_csv(folder / "summary.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(read, summary.frame)
    with pytest.raises(StudyError, match="summary cannot be written"):
        summary.write(tmp_path / "absent")


def commit(folder: Path, *lines: object) -> None:
    target = folder / "embedded-llada-v" / "evaluation.jsonl"
    target.parent.mkdir()
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    target.write_text("\n".join(texts))


def test_the_stored_evaluation_stands_next_to_the_baseline(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]
    lines = [{"task": "yesno", "sample": i, "score": s} for i, s in enumerate(scores)]
    other = {"task": "yesno", "sample": 0, "score": 0, "seed": 3}
    commit(tmp_path, *lines, other, "not JSON", "[1]", {"task": "code", "sample": 0, "score": 1})
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    rows = summarise(made_run(config)).rows()
    stored = [tuple(row[name] for name in COMMITTED) for row in rows]
    # Of "code" only one sample is stored: all samples' score is known, that of the same is not.
    assert stored == [(0.6, 0.3), (None, None), (None, 1.0), (None, None)]


def test_without_a_stored_evaluation_nothing_is_said(
    config: StudyConfig, made_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESULTS", tmp_path / "absent")
    rows = summarise(made_run(config)).rows()
    assert {row[name] for row in rows for name in COMMITTED} == {None}


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no run in"):
        summarise(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(StudyError, match="recipe.json cannot be read"):
        summarise(tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(StudyError, match="cannot be read"):
        summarise(tmp_path)


@pytest.mark.parametrize(
    ("settings", "priced"),
    [
        ({"prefix_refresh_interval": 4}, False),
        ({"cfg_scale": 1.5}, False),
        ({"prefix_refresh_interval": None, "steps": 2}, True),
    ],
)
def test_only_cases_that_read_everything_once_are_projected(
    config: StudyConfig, made_run: MakeRun, settings: dict[str, Any], priced: bool
) -> None:
    plain, half = config.cases
    other = half.model_copy(update={"name": "other", "settings": settings})
    cases = (plain, half, other)
    rows = summarise(made_run(config.model_copy(update={"cases": cases}), noisy)).rows()
    assert [row["speedup_projected"] is not None for row in rows] == [True, True, priced] * 2
    cached = plain.model_copy(update={"settings": settings})
    changed = config.model_copy(update={"cases": (cached, half)})
    rows = summarise(made_run(changed, noisy)).rows()
    assert [row["speedup_projected"] is not None for row in rows] == [priced] * 4
