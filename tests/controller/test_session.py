"""The state of one generate call: policies and selections per sequence."""

import dataclasses
import threading
from typing import Any

import pytest
import torch

from saccade.controller import (
    AfterShare,
    CapabilityError,
    CommitRule,
    Drop,
    Keep,
    Plan,
    PlanError,
    Selection,
    Signals,
    StepState,
    VisualView,
)
from saccade.pruners import Random
from tests.controller.toys import SPEC, STATE, Scripted, session, view_of


def test_every_sequence_has_a_policy_of_its_own() -> None:
    policy = AfterShare(0.0, 0.5, layer=2)
    own = session(policy, Random(), n=2)
    first, held = Plan((Drop(2, 0.5),)), Plan((Drop(0, 0.5),))
    assert [own.plan(0, STATE), own.plan(0, STATE)] == [first, held]
    assert own.plan(1, STATE) == first
    assert policy.plan(STATE, None) == first, "the controller's own was never asked"


def test_policies_begin_reset_and_see_the_signals_of_their_sequence() -> None:
    class Reader(Scripted):
        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            if signals is None:
                return Plan()
            masked = signals.masked
            assert masked is not None
            seen = bool(masked.all())
            return Plan(refresh=seen)

    shown = Signals(masked=torch.ones(3, dtype=torch.bool))
    spec = dataclasses.replace(SPEC, can=SPEC.can | {"refresh"})
    policy = Reader([])
    own = session(policy, n=2, spec=spec)
    assert policy.resets == 0
    for each in own._policies:
        assert isinstance(each, Reader) and each.resets == 1
    assert own.plan(0, STATE) == Plan()
    own.observe(0, shown)
    assert own.plan(0, STATE).refresh and own.plan(1, STATE) == Plan()
    assert shown.masked is not None and bool(shown.masked.all()), "it was given a copy"


def test_a_policy_that_cannot_be_copied_is_named() -> None:
    policy = Scripted([threading.Lock()])
    with pytest.raises(TypeError, match=r"Scripted\(.* cannot be copied .*a policy of its own"):
        session(policy)


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (Plan(bypass=frozenset({1})), "bypass"),
        (Plan(refresh=True), "refresh"),
        (Plan(commit=CommitRule("threshold", 0.9)), "commit"),
    ],
)
def test_a_plan_beyond_the_backbones_means(plan: Plan, word: str) -> None:
    with pytest.raises(CapabilityError, match=f"the plan asks for {word}; toy cannot"):
        session(Scripted([plan])).plan(0, STATE)
    able = dataclasses.replace(SPEC, can=SPEC.can | {word})
    assert session(Scripted([plan]), spec=able).plan(0, STATE) == plan


@pytest.mark.parametrize(
    ("plan", "message"),
    [(Plan((Drop(4, 0.5),)), "toy has 4 layers"), ("drop", "the policy returned 'drop'")],
)
def test_a_plan_that_cannot_be_carried_out(plan: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        session(Scripted([plan])).plan(0, STATE)


def test_selections_are_remembered_by_count_until_asked_again() -> None:
    own = session(Scripted([Plan(), Plan(reselect=True), Plan()]), Random(), n=2)
    own.plan(0, STATE)
    assert own.remembered(0, 3) is None
    kept = own.select(0, view_of(8), 3)
    assert own.remembered(0, 3) is kept and own.remembered(0, 4) is None
    assert own.remembered(1, 3) is None
    own.select(0, view_of(8), 5)
    own.plan(0, STATE)
    assert own.remembered(0, 3) is own.remembered(0, 5) is None
    anew = own.select(0, view_of(8), 3)
    assert own.remembered(0, 3) is anew and own.remembered(0, 5) is None
    own.plan(0, STATE)
    assert own.remembered(0, 3) is anew
    assert own.remembered(0, 5) is not None, "what was not asked for stays as it was"


def test_selections_count_among_all_tokens() -> None:
    present = torch.tensor([1, 4, 6, 7, 9])
    own = session(Scripted([]), Random())
    among = Random().select(view_of(5), 2).keep
    assert torch.equal(own.select(0, view_of(5), 2, present).here.keep, present[among])


def test_wrong_selections_are_refused() -> None:
    class Wrong:
        needs, site = frozenset[str](), "entry"

        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def select(self, view: VisualView, n: int) -> Any:
            return self.answer

    with pytest.raises(PlanError, match="Wrong kept 1 tokens; asked for 2"):
        session(Scripted([]), Wrong(Selection(torch.tensor([1])))).select(0, view_of(4), 2)
    with pytest.raises(PlanError, match="Wrong returned .* must return a Selection"):
        session(Scripted([]), Wrong([0, 1])).select(0, view_of(4), 2)
    with pytest.raises(PlanError, match=r"Wrong returned Selection.* that holds a tensor"):
        session(Scripted([]), Wrong(Selection([0, 1]))).select(0, view_of(4), 2)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="the controller has no pruner"):
        session(Keep()).select(0, view_of(4), 2)
