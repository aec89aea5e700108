"""What would have happened: rows of a sample against whole calls that do the same."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.controller import Controller, Plan, Signals, StepState, check_policy
from saccade.controller.learned.actions import Action, all_actions
from saccade.controller.learned.features import FEATURES
from saccade.controller.policy import BasePolicy
from saccade.tuning.agreement import agreement
from saccade.tuning.counterfactuals import COLUMNS, Experiment, counterfactuals, page_of
from saccade.tuning.holding import Holding
from tests.tiny import tiny_model
from tests.tuning.tiny_task import SETTINGS, PageSample, word_model
from tests.tuning.tiny_traces import EXPERIMENT, ROWS

SAMPLE = PageSample(3, 0, 3)


class From(BasePolicy):
    """An action, from a step on."""

    def __init__(self, first: int, action: Action) -> None:
        self.first, self.action = first, action

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return self.action.plan if state.step >= self.first else Plan()


@pytest.mark.parametrize("family", ["llada", "lavida"])
def test_rows_are_what_whole_calls_do(family: str) -> None:
    model = word_model() if family == "llada" else tiny_model(tokenizer=True, family=LAVIDA)
    settings = model.family.settings.for_lengths(8, 8, 4)
    rows = counterfactuals(model, SAMPLE, EXPERIMENT, settings)
    assert len(rows) == ROWS and {row["step"] for row in rows} == {1, 2}
    prepared = model.prepare(SAMPLE.question, SAMPLE.images)
    bare = model.generate(inputs=prepared, **settings)
    numbers = {action.name: action for action in EXPERIMENT.actions}
    for row in rows:
        policy = From(row["step"], numbers[row["action"]])
        controller = Controller(policy, EXPERIMENT.pruner, probe="all")
        out = model.generate(inputs=prepared, controller=controller, **settings)
        assert row["changed"] == (out.tokens != bare.tokens)
        assert row["macs"] == out.trace.macs and row["bare_macs"] == bare.trace.macs
        assert row["saved_macs"] == bare.trace.macs - out.trace.macs
        score, wanted = (SAMPLE.score(o.text or "").score for o in (out, bare))
        assert (row["score"], row["bare_score"]) == (score, wanted)
        assert row["score_change"] == score - wanted
        left = sum(step.macs for step in bare.trace.steps[row["step"] :])
        assert row["saved"] == pytest.approx(row["saved_macs"] / left)
    assert {row["changed"] for row in rows} == {False, True}


def test_features_are_known_before_the_step() -> None:
    """They are those that a policy would compute in that step of the unpruned run."""
    from saccade.controller.learned.features import table

    model, seen = word_model(), {}

    class Watching(BasePolicy):
        reads = frozenset({"attention", "received", "confidence", "entropy", "margin"})

        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            seen[state.step] = table(state, signals, EXPERIMENT.actions, 4)
            return Plan()

    prepared = model.prepare(SAMPLE.question, SAMPLE.images)
    model.generate(inputs=prepared, controller=Controller(Watching()), **SETTINGS)
    rows = counterfactuals(model, SAMPLE, EXPERIMENT, SETTINGS)
    for step in (1, 2):
        own = [[row[name] for name in FEATURES] for row in rows if row["step"] == step]
        found = np.array(own, dtype=np.float64)
        np.testing.assert_array_equal(found, seen[step])
    assert rows[0]["change_visual"] is None and rows[-1]["change_visual"] is not None


def test_without_labels_agreement_is_the_score() -> None:
    model = word_model()
    experiment = dataclasses.replace(EXPERIMENT, label_free=True)
    rows = counterfactuals(model, SAMPLE, experiment, SETTINGS)
    assert all(row["bare_score"] == 1 for row in rows)
    assert all((row["score"] == 1) == (not row["changed"]) for row in rows)
    assert agreement((1, 2), (1, 3)) == 0.5


def test_they_are_the_same_twice_and_other_by_seed() -> None:
    model, drawn = word_model(), {**SETTINGS, "temperature": 1.0}
    one, same = (counterfactuals(model, SAMPLE, EXPERIMENT, drawn) for _ in range(2))
    assert one == same
    other = counterfactuals(model, SAMPLE, dataclasses.replace(EXPERIMENT, seed=1), drawn)
    assert [row["changed"] for row in other] != [row["changed"] for row in one] or other != one


def test_an_answer_that_is_done_leaves_no_decision() -> None:
    settings: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 1}
    assert counterfactuals(word_model(), SAMPLE, EXPERIMENT, settings) == []


def test_every_row_has_every_column() -> None:
    rows = counterfactuals(word_model(), SAMPLE, EXPERIMENT, SETTINGS)
    assert all({"task", "sample", *row} == {name for name, _ in COLUMNS} for row in rows)


def test_no_pruner_where_nothing_is_dropped() -> None:
    experiment = Experiment(all_actions((), [(1,)], (0.5,)), pruner=None)
    rows = counterfactuals(word_model(), SAMPLE, experiment, SETTINGS)
    assert {row["action"] for row in rows} == {"skip 1", "commit at 0.5", "skip 1, commit at 0.5"}


@pytest.mark.parametrize("action", EXPERIMENT.actions, ids=lambda action: action.name)
def test_holding_keeps_the_contract(action: Action) -> None:
    check_policy(Holding(action.plan, frozenset(action.plan.drops)))


def test_an_experiment_that_tries_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to try"):
        Experiment((), (0.5,))
    with pytest.raises(ValueError, match="nothing to try"):
        Experiment(EXPERIMENT.actions, ())
    with pytest.raises(ValueError, match="a share of the steps=2.0"):
        Experiment(EXPERIMENT.actions, (2.0,))
    assert EXPERIMENT.steps(16) == {1, 8} and EXPERIMENT.steps(1) == {1}


def test_pages_are_told_apart_by_their_pictures() -> None:
    assert page_of(PageSample(1, 0, 5)) == page_of(PageSample(2, 0, 5))
    assert page_of(PageSample(1, 0, 5)) != page_of(PageSample(1, 0, 6))
