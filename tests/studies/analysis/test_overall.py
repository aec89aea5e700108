"""Rows over all tasks follow from those of the tasks."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import t as student

from saccade.studies.analysis.overall import ALL, dominated_area, overall_rows
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.record import Record

MakeRun = Callable[..., Path]


def varied(record: Record) -> Record:
    fast = {"none": 1.0, "half": 0.5}[record.case]
    hard = {"yesno": 1.0, "code": 2.0}[record.task]
    wobble = 1 + 0.1 * ((3 * record.unit + len(record.case)) % 4)
    score = float(record.case == "none" or record.sample > 0)
    return replace(record, seconds=fast * hard * wobble, prepare_seconds=0.0, score=score)


def test_means_and_errors_follow_from_the_tasks(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, varied))
    tasks = [row for row in summary.rows() if row["case"] == "half"]
    own = next(row for row in overall_rows(summary) if row["case"] == "half")
    assert own["task"] == ALL and own["n"] == 10
    assert own["score"] == pytest.approx(0.8)
    assert own["score_se"] == pytest.approx(math.hypot(*(r["score_se"] for r in tasks)) / 2)
    assert own["speedup"] == pytest.approx(math.sqrt(tasks[0]["speedup"] * tasks[1]["speedup"]))
    # Both tasks have the same times but for a factor, so the spread of each is that of both.
    half = math.log(tasks[0]["speedup_high"] / tasks[0]["speedup_low"]) / 2
    se = half / student.ppf(0.975, 2) / math.sqrt(2)
    wanted = student.ppf(0.975, 4) * se
    assert math.log(own["speedup_high"] / own["speedup"]) == pytest.approx(wanted)


def test_a_case_that_lacks_a_task_has_no_row(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, varied))
    frame = summary.frame
    less = replace(summary, frame=frame[(frame.case == "none") | (frame.task == "code")])
    assert [row["case"] for row in overall_rows(less)] == ["none"]


def test_what_dominates_is_the_area_of_hindsight() -> None:
    rows = [
        {"speedup": 2.0, "score_relative": 1.0},
        {"speedup": 4.0, "score_relative": 0.9},
        {"speedup": 8.0, "score_relative": None},
        {"speedup": None, "score_relative": 1.0},
    ]
    assert dominated_area(rows, "speedup") == pytest.approx(0.5 * 0.75 + 0.5 * 0.5)
