"""A policy that keeps its contract passes, and each broken rule is named."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

import saccade
from saccade import BasePolicy, ContractError, Drop, Plan, Signals, StepState, check_policy
from saccade.controller import parse_policy, policies
from tests.controller.learned_files import shared_file

OPTIONS = {
    "abstain": "progressive()",
    "after_share": "0.5, keep=0.25",
    "after_steps": "2, keep=0.25",
    "by_layer": "layers=(1, 2), keeps=(0.5, 0.25)",
    "clamp": "progressive()",
    "compose": "(progressive(), layer_skip())",
    "every_n_steps": "progressive(), 3",
    "learned": f"file={shared_file()!r}",
    "vtw": "3",
    "with_refresh": "progressive()",
}


@pytest.mark.parametrize("name", list(policies))
def test_every_registered_policy_passes(name: str) -> None:
    state = torch.random.get_rng_state()
    check_policy(parse_policy(f"{name}({OPTIONS.get(name, '')})"))
    assert torch.equal(state, torch.random.get_rng_state())


class Good(BasePolicy):
    reads = frozenset({"confidence"})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        sure = None if signals is None else signals.mean_confidence
        return Plan((Drop(0, 0.5),)) if sure is not None and sure > 0.9 else Plan()


class Remembers(Good):
    def __init__(self) -> None:
        self._calls = 0

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        self._calls += 1
        return Plan((Drop(0, 0.5),)) if self._calls > 3 else Plan()


SHARED: list[int] = []


class Shares(Good):
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        if state.step == 0:
            SHARED.clear()
        SHARED.append(state.n_steps)
        return Plan((Drop(0, 0.5),)) if len(SHARED) > state.step + 1 else Plan()


class ReadsMore(Good):
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        mass = None if signals is None else signals.visual_mass
        return Plan((Drop(0, 0.5),)) if mass is not None else Plan()


class Change(Good):
    """Reads how confidence changed, which it declares."""

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        change = None if signals is None or signals.change is None else signals.change.confidence
        return Plan((Drop(0, 0.5),)) if change is not None and change > 0 else Plan()


class Unknown(Good):
    reads = frozenset({"confidense"})


class NoPlan(Good):
    def plan(self, state: StepState, signals: Signals | None) -> Any:
        return None


class Fails(Good):
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        assert signals is not None
        return Plan()


class Unannounced(Good):
    drops_ahead = frozenset({Drop(0, 0.25)})


class Again(Good):
    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return Plan((Drop(0, 0.5),), reselect=True)


class Restless(Good):
    rests = True

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return Plan((Drop(0, 0.5),))


class Watches(Good):
    def watches(self, state: StepState) -> Any:
        return [1, 2]


@pytest.mark.parametrize("policy", [Good(), Change(), Good() + saccade.LayerSkip()])
def test_policies_that_keep_the_contract(policy: BasePolicy) -> None:
    check_policy(policy)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda: Good, "is a class: pass a policy"),
        (lambda: object(), "is no policy: inherit from saccade.BasePolicy"),
        (Remembers, r"plans otherwise after reset\(\)"),
        (Shares, "shares state between its copies"),
        (ReadsMore, r"reads more than it declares in reads=.*confidence"),
        (Unknown, "reads 'confidense'; did you mean confidence"),
        (NoPlan, "returned None in step 0 of 1; it must return a Plan"),
        (Fails, "fails in step 0 of 1: AssertionError"),
        (Unannounced, "which drops_ahead=.* does not announce"),
        (Again, "asks for a new selection in step 0 of 1, and reselects is not True"),
        (Restless, "rests, and still plans"),
        (Watches, r"watches \[1, 2\] in step 0 of 1; give True, False or a frozenset"),
    ],
)
def test_each_broken_rule_is_named(policy: Callable[[], Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_policy(policy())


class Unbound(Good):
    def bind(self, spec: Any) -> Any:
        return None


class Unstarted(Good):
    def start(self) -> Any:
        return None


class Uncopied(Good):
    def __init__(self) -> None:
        self._lock = threading.Lock()


class Unreset(Good):
    def __init__(self) -> None:
        self._resets = 0

    def reset(self) -> None:
        self._resets += 1
        if self._resets > 1:
            raise RuntimeError("twice")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Unbound(), r"is None after bind\(spec\); it must return a policy"),
        (Unstarted(), r"returned None from start\(\); it must return a policy"),
        (Uncopied(), "cannot be copied: TypeError: .*lock.*every sequence needs a policy"),
        (Unreset(), r"fails in reset\(\): RuntimeError: twice"),
    ],
)
def test_what_goes_wrong_around_the_steps_is_named(policy: BasePolicy, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        check_policy(policy)


@pytest.mark.parametrize("given", [(), 4, (0,), (-1,), (2.5,), "12"])
def test_lengths_of_calls_are_checked(given: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="n_steps="):
        check_policy(Good(), n_steps=given)
