"""Looking back on a study: the oracle, what is closed, and areas, against a slow count."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saccade.controller import StudyError
from saccade.studies.analysis.hindsight import Hindsight, look_back
from saccade.studies.analysis.summary import Summary, summarise
from saccade.studies.config.study import Case
from saccade.studies.runs.record import Record
from saccade.studies.runs.runner import run_study
from saccade.tuning.result import area
from tests.studies.runs.test_runner import TINY

GROUPS = {"none": None, "half": "fixed", "first": "default", "third": "tuned"}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A real run of three cases in three groups."""
    extra = Case(name="third", policy="after_share(share=0.5, keep=0.75)", pruner="random()")
    cases = tuple(
        case.model_copy(update={"group": GROUPS[case.name], "method": GROUPS[case.name]})
        for case in (*TINY.cases, extra)
    )
    folder = tmp_path_factory.mktemp("hindsight")
    config = TINY.model_copy(update={"cases": cases, "samples": 6, "tasks": ("digit",)})
    return summarise(run_study(config, folder / "run"))


def changed(summary: Summary, change: Callable[[Record], Record]) -> Summary:
    return replace(summary, records=[change(record) for record in summary.records])


def drawn(record: Record) -> Record:
    """Random figures, the same for the same record."""
    own = random.Random(f"{record.case}, {record.sample}")
    cost = 1000 if record.case == "none" else own.randint(100, 990)
    return replace(record, score=own.choice((0.5, 0.75, 1.0)), macs=cost, prepare_macs=10)


def figures(**scores_and_costs: tuple[float, int]) -> Callable[[Record], Record]:
    def change(record: Record) -> Record:
        score, cost = scores_and_costs[record.case]
        return replace(record, score=score, macs=cost - 10, prepare_macs=10)

    return change


def only(found: list[Hindsight]) -> Hindsight:
    (one,) = found
    return one


def test_the_oracle_is_the_cheapest_case_of_each_sample_that_is_no_worse(
    answered: Summary,
) -> None:
    summary = changed(answered, drawn)
    one = only(look_back(summary))
    work, score, bare_work, bare_score = 0, 0.0, 0, 0.0
    for sample in range(6):
        own = [r for r in summary.records if r.sample == sample]
        bare = next(r for r in own if r.case == "none")
        best = min(
            (r for r in own if r.score >= bare.score), key=lambda r: (r.macs, r.case != "none")
        )
        work, score = work + best.macs + 10, score + best.score
        bare_work, bare_score = bare_work + bare.macs + 10, bare_score + bare.score
    assert one.n == 6
    assert one.oracle.cost.value == pytest.approx(work / bare_work)
    assert one.oracle.relative == pytest.approx(score / bare_score) and one.oracle.relative >= 1
    assert all(one.oracle.cost.value <= line.cost.value or not line.allowed for line in one.lines)


def test_the_distance_is_closed_from_the_best_allowed_fixed_case(answered: Summary) -> None:
    change = figures(none=(1.0, 1000), half=(1.0, 600), first=(1.0, 400), third=(1.0, 200))
    one = only(look_back(changed(answered, change)))
    closed = {line.case: line.closed for line in one.lines}
    assert one.best_fixed == "half" and one.oracle.cost.value == pytest.approx(0.2)
    assert closed["half"].value == pytest.approx(0) and closed["third"].value == pytest.approx(1)
    assert closed["first"].value == pytest.approx(0.5)
    assert (closed["first"].low, closed["first"].high) == pytest.approx((0.5, 0.5)), "no spread"


def test_a_fixed_case_that_loses_too_much_is_not_where_the_distance_begins(
    answered: Summary,
) -> None:
    change = figures(none=(1.0, 1000), half=(0.9, 300), first=(1.0, 600), third=(1.0, 200))
    summary = changed(answered, change)
    one = only(look_back(summary))
    assert one.best_fixed is None
    closed = {line.case: line.closed.value for line in one.lines}
    assert closed["first"] == pytest.approx(0.5), "from the unpruned model's 1 to 0.2"
    assert not next(line for line in one.lines if line.case == "half").allowed
    assert only(look_back(summary, max_drop=0.1)).best_fixed == "half"


def test_nothing_to_close_is_not_defined(answered: Summary) -> None:
    change = figures(none=(1.0, 1000), half=(1.0, 200), first=(1.0, 600), third=(1.0, 700))
    one = only(look_back(changed(answered, change)))
    assert one.oracle.cost.value == pytest.approx(0.2)
    assert all(math.isnan(line.closed.value) for line in one.lines if line.case == "half")
    plain = one.plain()
    assert plain["oracle"]["closed"]["value"] is None and plain["best_fixed"] == "half"


def test_changed_answers_are_those_that_read_otherwise(answered: Summary) -> None:
    def change(record: Record) -> Record:
        other = record.case == "half" and record.sample < 2
        return replace(record, answer="other" if other else "same")

    one = only(look_back(changed(answered, change)))
    assert {line.case: line.changed for line in one.lines} == {
        "half": pytest.approx(1 / 3),
        "first": 0,
        "third": 0,
    }


def test_gains_are_paired_differences_of_areas(answered: Summary) -> None:
    change = figures(none=(1.0, 1000), half=(1.0, 600), first=(1.0, 400), third=(0.9, 200))
    one = only(look_back(changed(answered, change)))
    fronts = {front.group: front for front in one.fronts}
    assert fronts["fixed"].area.value == pytest.approx(0.4)
    assert fronts["default"].area.value == pytest.approx(0.6)
    assert fronts["tuned"].area.value == pytest.approx(0.5 * 0.8)
    assert fronts["tuned"].gain.value == pytest.approx(0.4 - 0.6)
    assert fronts["default"].gain.high == 0


def test_intervals_hold_the_truth_as_often_as_they_say(answered: Summary) -> None:
    inside = 0
    for draw in range(80):
        rng = random.Random(draw)
        costs = {i: rng.gauss(500, 100) for i in range(6)}

        def change(record: Record, costs: dict[int, float] = costs) -> Record:
            cost = 1000 if record.case == "none" else round(costs[record.sample])
            return replace(record, score=1.0, macs=cost, prepare_macs=0)

        line = only(look_back(changed(answered, change))).lines[0]
        inside += line.cost.low <= 0.5 <= line.cost.high
    assert 0.7 <= inside / 80 <= 0.98, "six samples: a bootstrap is somewhat narrow"


def test_area_is_what_a_grid_counts() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        n = int(rng.integers(1, 6))
        relative, cost = rng.uniform(0.7, 1.1, n), rng.uniform(0, 1.2, n)
        grid = (np.arange(100) + 0.5) / 100
        dominated = 0
        for height, saved in itertools.product(grid, grid):
            pairs = zip(relative.tolist(), cost.tolist(), strict=True)
            dominated += any(r >= 0.8 + 0.2 * height and c <= 1 - saved for r, c in pairs)
        assert area(relative.tolist(), cost.tolist()) == pytest.approx(
            dominated / 100**2, abs=0.025
        )


def test_groups_that_are_not_there_are_named(answered: Summary) -> None:
    with pytest.raises(StudyError, match=r"unknown group of cases 'fixd'.*fixed"):
        look_back(answered, fixed="fixd")
    with pytest.raises(StudyError, match="nothing is answered"):
        look_back(replace(answered, records=[]))


def test_unfinished_cases_are_left_out(answered: Summary, tmp_path: Path) -> None:
    some = [r for r in answered.records if r.case != "third"]
    one = only(look_back(replace(answered, records=some)))
    assert [line.case for line in one.lines] == ["half", "first"]
