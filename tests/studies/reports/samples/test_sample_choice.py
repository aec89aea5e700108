"""Samples side by side: their kinds, which are shown, and the names of their runs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.samples.entries import run_names
from saccade.studies.reports.samples.pairs import Pair, choose, count_kinds, pairs_of
from saccade.studies.runs.record import Record
from tests.studies.reports.samples.sections import MakeRun, all_kinds

Blank = Callable[..., Record]


def pair(blank: Blank, before: float, now: float, case: str = "half", sample: int = 0) -> Pair:
    """Two answers with these scores."""
    own = [
        blank(name, "code", sample, 0, score=score, exact=float(score == 1))
        for name, score in (("none", before), (case, now))
    ]
    return Pair(0, own[0], own[1])


def test_kinds_and_losses(blank: Blank) -> None:
    made = [pair(blank, *scores) for scores in ((1, 0.5), (0.5, 1), (0.5, 0.25), (1, 1))]
    assert [own.kind for own in made] == ["broke", "fixed", "both wrong", "same"]
    assert [own.loss for own in made] == [0.5, -0.5, 0.25, 0]
    assert count_kinds(made) == dict.fromkeys(("broke", "fixed", "both wrong", "same"), 1)


@pytest.mark.parametrize("n", [1, 4, 6, 100])
def test_one_of_each_kind_is_always_there(n: int, config: StudyConfig, made_run: MakeRun) -> None:
    pairs = list(pairs_of([summarise(made_run(config, all_kinds))]))
    chosen = choose(pairs, n)
    assert len(pairs) == 10 and len(chosen) == min(10, max(4, n)) == len(set(chosen))
    assert {own.kind for own in chosen[:4]} == {"broke", "fixed", "both wrong", "same"}
    assert chosen == choose(pairs, n)


def test_the_most_telling_come_first_and_cases_take_turns(blank: Blank) -> None:
    made = [
        pair(blank, 1, score, case, sample)
        for case, first in (("a", 0.5), ("b", 0.75))
        for sample, score in enumerate((first, first - 0.25, first + 0.125))
    ]
    shown = [(own.case.case, own.case.score) for own in choose(made, 4)]
    assert shown == [("a", 0.25), ("b", 0.5), ("a", 0.5), ("b", 0.75)]


def test_another_baseline_where_a_run_has_it(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, all_kinds))
    assert {own.baseline.case for own in pairs_of([summary], "half")} == {"half"}
    assert {own.baseline.case for own in pairs_of([summary], "absent")} == {"none"}


def test_names_of_runs_differ(config: StudyConfig, made_run: MakeRun) -> None:
    one = summarise(made_run(config))
    other = replace(one, config=config.model_copy(update={"model": "other"}))
    assert run_names([one, other]) == [config.model, "other"]
    assert run_names([one, one]) == [f"{config.model}, made-up ({i})" for i in (1, 2)]
