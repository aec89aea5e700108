"""Wrappers: what they change, and that they pass on all else."""

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from saccade.controller import (
    Abstain,
    AfterSteps,
    Auto,
    BasePolicy,
    Clamp,
    CommitRule,
    Compose,
    ConfidentCommits,
    Cumulative,
    Drop,
    EveryNSteps,
    Keep,
    LayerSkip,
    Plan,
    Progressive,
    Signals,
    StepState,
    WithRefresh,
    tunables,
)
from tests.controller.signal_sequences import run, signals, state
from tests.controller.toys import SPEC

SURE = signals(0.4, confidence=0.95)


@dataclass(repr=False)
class Told(BasePolicy):
    """Gives plans as told, and counts."""

    plans: Any
    reads: frozenset[str] = frozenset({"attention"})
    asked: int = 0

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        self.asked += 1
        plan: Plan = self.plans[state.step % len(self.plans)]
        return plan

    def reset(self) -> None:
        self.asked = 0


DROP = Plan((Drop(0, 0.5),))


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_short_calls_are_left_alone_throughout(n_steps: int) -> None:
    policy = Abstain(AfterSteps(0, 0.5), steps=6)
    for step in range(n_steps):
        assert policy.plan(state(step, n_steps), None) == Plan()
        assert policy.rests and not policy.watches(state(step, n_steps))


def test_long_calls_are_not_and_every_call_is_judged_anew() -> None:
    policy = Abstain(AfterSteps(0, 0.5), steps=6)
    assert policy.plan(state(0, 2), None) == Plan() and policy.rests
    policy.reset()
    assert policy.plan(state(0, 6), None) == DROP and not policy.rests
    assert policy.plan(state(5, 6), None) == DROP, "few steps are left, but the call is long"


def test_asked_every_n_steps() -> None:
    inner = Told([Plan((Drop(0, 0.5),), refresh=True, reselect=True), Plan(), DROP, Plan(), Plan()])
    policy = EveryNSteps(inner, 2)
    plans = run(policy, [SURE] * 4)
    assert plans == [inner.plans[0], DROP, DROP, DROP, Plan()] and inner.asked == 3
    watched = [policy.watches(state(step, 6)) for step in range(4)]
    assert watched == [False, True, False, True]


def test_bounds() -> None:
    inner = Told(
        [Plan((Drop(0, 0.1), Drop(3, 0.0)), frozenset({2}), commit=CommitRule("factor", 1))]
    )
    plan = run(Clamp(inner, least=0.25), [])[0]
    assert plan == replace(inner.plans[0], drops=(Drop(0, 0.25), Drop(3, 0.25)))
    assert run(Clamp(Told([DROP]), 0.0, most=0.4), [])[0] == Plan((Drop(0, 0.4),))
    assert run(Clamp(Told([Plan()]), 0.0, most=0.4), [])[0] == Plan()
    inner = Told([Plan((Drop(0, 0.6), Drop(1, 0.5), Drop(4, 0.2)))])
    plan = run(Clamp(inner, 0.0, first_layer=2), [])[0]
    assert plan == Plan((Drop(2, 0.5), Drop(4, 0.2)))
    assert Clamp(AfterSteps(1, 0.1), first_layer=2).drops_ahead == {Drop(2, 0.25)}


def test_refreshes_when_the_cache_is_old() -> None:
    policy = WithRefresh(Keep(), after=3)
    ages = [replace(state(step, 9), cache_age=age) for step, age in enumerate([0, 1, 2, 3, 1])]
    assert [policy.plan(own, None).refresh for own in ages] == [False, False, False, True, False]


def test_composed_plans() -> None:
    one = Told([Plan((Drop(0, 0.75), Drop(2, 0.5)), frozenset({1}), reselect=True)])
    other = Told([Plan((Drop(1, 0.6), Drop(2, 0.55)), frozenset({3}), refresh=True)])
    rule = CommitRule("threshold", 0.9)
    plan = run(Compose([one, other, ConfidentCommits(0.9), ConfidentCommits(0.5)]), [])[0]
    drops = (Drop(0, 0.75), Drop(1, 0.6), Drop(2, 0.5))
    assert plan == Plan(drops, frozenset({1, 3}), True, rule, True)


def test_composed_policies_say_what_any_of_them_says() -> None:
    whole = Compose([Progressive(), LayerSkip(), ConfidentCommits()])
    assert whole.reads == {"confidence", "received"} and whole.reselects
    assert (
        whole.drops_ahead == Progressive().drops_ahead
        and whole.default_pruner == Progressive.default_pruner
    )
    assert Compose([Keep(), Told([DROP])]).drops_ahead is None, "one does not say"
    quiet = Compose([LayerSkip(layers=(1,)), ConfidentCommits()])
    assert quiet.reads == frozenset() and not quiet.watches(state(0, 8)) and not quiet.reselects


WRAPPERS: list[Any] = [
    lambda inner: Abstain(inner, 1),
    lambda inner: EveryNSteps(inner, 1),
    lambda inner: Clamp(inner, 0.0),
    lambda inner: WithRefresh(inner, 99),
    lambda inner: Compose([inner]),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapper_speaks_for_what_is_inside(wrap: Any) -> None:
    inner = Progressive(warmup=1, every=1, cover=0.0)
    policy: BasePolicy = wrap(inner)
    assert isinstance(policy, BasePolicy) and policy.reads == inner.reads
    assert (
        policy.drops_ahead == inner.drops_ahead
        and policy.default_pruner == Progressive.default_pruner
    )
    assert policy.reselects and not policy.rests and policy.watches(state(0, 4))
    assert run(policy, [SURE] * 5) == run(inner, [SURE] * 5)
    unknown: BasePolicy = wrap(Told([DROP]))
    assert unknown.drops_ahead is None and unknown.default_pruner is None


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_what_is_inside_is_fitted_to_the_backbone(wrap: Any) -> None:
    able = replace(
        SPEC, can=SPEC.can | {"attention", "received", "bypass", "commit"}, origin="ar-to-diffusion"
    )
    policy = wrap(Auto()).bind(able)
    assert policy == wrap(Auto().bind(able)) != wrap(Auto())


@pytest.mark.parametrize("wrap", WRAPPERS[:4] + [Compose, lambda inner: Compose(inner)])
def test_only_policies_are_wrapped(wrap: Any) -> None:
    for wrong in (AfterSteps, None, 3):
        with pytest.raises(TypeError):
            wrap(wrong)


def test_the_default_by_origin() -> None:
    can = SPEC.can | {"attention", "received", "bypass", "commit", "rows:before", "masked"}
    made = {
        origin: Auto().bind(replace(SPEC, can=can, origin=origin))
        for origin in ("from-scratch", "ar-to-diffusion", "autoregressive")
    }
    commits = ConfidentCommits(0.95)
    assert made["from-scratch"] == Abstain(Compose([Progressive(), LayerSkip(), commits]), 6)
    assert made["ar-to-diffusion"] == Abstain(Compose([LayerSkip(), commits]), 6)
    for alone in (made["autoregressive"], Auto().bind(SPEC)):  # SPEC can do nothing of this
        plan = alone.plan(state(0, 8), None)
        assert isinstance(alone, Keep) and plan == Plan() and plan.reason
    able = replace(SPEC, can=can)
    assert Auto(None, (1, 2), 3).bind(able) == Abstain(
        Compose([Progressive(), LayerSkip(layers=(1, 2))]), 3
    )


def test_the_published_progressive_scheme() -> None:
    plans = [Cumulative().plan(state(step, 8), None) for step in range(8)]
    quarters = [Plan((Drop(0, keep),)) for keep in (0.75, 0.5, 0.25)]
    assert plans == [Plan()] * 2 + [quarters[0]] * 2 + [quarters[1]] * 2 + [quarters[2]] * 2
    uneven = [Cumulative().plan(state(step, 6), None) for step in range(6)]
    assert uneven == [Plan()] * 3 + [quarters[1]] * 3, "a quarter of six is no step"


@pytest.mark.parametrize("policy", [Progressive, LayerSkip, Abstain, ConfidentCommits, Clamp,
                                    EveryNSteps, WithRefresh, Auto])  # fmt: skip
def test_thresholds_say_what_they_are(policy: Any) -> None:
    found = tunables(policy)
    assert found
    for name, own in found.items():
        assert own.name == name and own.unit and own.low <= own.default <= own.high
        assert own.low < own.high
        described = re.search(rf"^ {{4}}(\w+, )*{name}(, \w+)* : ", policy.__doc__, re.MULTILINE)
        assert described, "and are described"
    assert tunables(object()) == {}
