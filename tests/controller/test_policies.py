"""Every registered policy keeps its contract; fixed schedules drop exactly when they say."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.controller import (
    AfterShare,
    BasePolicy,
    Drop,
    Keep,
    Plan,
    PlanError,
    StepState,
    policies,
)
from saccade.controller.expressions import parse_policy
from saccade.controller.policies import VTW, AfterSteps, ByLayer, ConfidentCommits
from tests.controller.learned_files import shared_file

LEARNED = shared_file()
TABLE: dict[str, list[dict[str, Any]]] = {
    "keep": [{}],
    "after_share": [
        {"share": 0.5, "keep": 0.25},
        {"share": 0.0, "keep": 0.1, "layer": 2, "hold": False},
        {"share": 0.5, "keep": 0.1, "early": 1},
    ],
    "after_steps": [{"steps": 1, "keep": 0.25}, {"steps": 0, "keep": 0.5, "layer": 3}],
    "by_layer": [{"layers": (1, 3), "keeps": (0.5, 0.25)}, {"layers": (2,), "keeps": (0.0,)}],
    "vtw": [{"layer": 3}, {"layer": 2, "share": 0.5, "hold": True}],
    "abstain": [{"policy": AfterSteps(2, 0.5)}, {"policy": AfterSteps(0, 0.5), "steps": 9}],
    "auto": [{}, {"commit": None, "layers": (1, 2), "steps": 4}],
    "clamp": [{"policy": AfterSteps(1, 0.1), "least": 0.3, "most": 0.9, "first_layer": 1}],
    "compose": [{"policies": (AfterSteps(1, 0.5), ConfidentCommits(0.8))}],
    "confident_commits": [{}, {"value": 2.0, "kind": "factor"}],
    "cumulative": [{}, {"shares": (0.5,)}],
    "every_n_steps": [{"policy": AfterSteps(1, 0.5), "n": 3}],
    "layer_skip": [{}, {"layers": (1, 2)}, {"threshold": 0.3, "margin": 1, "early": True}],
    "learned": [{"file": LEARNED}, {"file": LEARNED, "risk": 0.4}],
    "progressive": [{}, {"ladder": (1.0, 0.5), "warmup": 1, "every": 3, "layer": 1}],
    "with_refresh": [{"policy": Keep(), "after": 2}],
}
"""Options to build every registered policy with."""

ROWS = [(name, options) for name, rows in TABLE.items() for options in rows]


def state(step: int, n_steps: int) -> StepState:
    return StepState(step, n_steps, 0, 1, n_steps - step, step)


def run(policy: BasePolicy, n_steps: int) -> list[Plan]:
    return [policy.plan(state(step, n_steps), None) for step in range(n_steps)]


def test_every_registered_policy_is_in_the_table() -> None:
    ours = {n for n in policies if policies.factory(n).__module__.startswith("saccade.")}
    assert ours == set(TABLE)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_contract(name: str, options: dict[str, Any]) -> None:
    policy = policies.make(name, **options)
    assert isinstance(policy, BasePolicy) and isinstance(policy.reads, frozenset)
    fresh = repr(policy)
    first = run(policy, 7)
    assert all(isinstance(plan, Plan) for plan in first)
    policy.reset()
    assert run(policy, 7) == first, "a reset policy is a new one"
    assert run(policies.make(name, **options), 7) == first
    assert repr(policy) == fresh == repr(policies.make(name, **options))
    assert parse_policy(fresh) == policy, "its text form makes it again"


def test_keep_plans_nothing() -> None:
    assert run(Keep(), 5) == [Plan()] * 5
    assert repr(Keep()) == "keep()" and Keep().reads == frozenset()


@given(st.integers(0, 100), st.integers(1, 200))
def test_ceil_of_the_share_runs_in_full(percent: int, n_steps: int) -> None:
    plans = run(AfterShare(percent / 100, 0.5), n_steps)
    clean = -(-percent * n_steps // 100)
    assert plans == [Plan()] * clean + [Plan((Drop(0, 0.5),))] * (n_steps - clean)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("hold", [True, False])
def test_drops_are_announced(share: float, hold: bool) -> None:
    policy = AfterShare(share, 0.25, layer=2, hold=hold)
    planned = [drop for plan in run(policy, 200) for drop in plan.drops]
    assert policy.drops_ahead == frozenset(planned[:1])


@pytest.mark.parametrize("hold", [True, False])
def test_what_was_dropped_stays_out_only_if_held(hold: bool) -> None:
    policy = AfterShare(0.5, 0.25, layer=2, hold=hold)
    later = Plan((Drop(0 if hold else 2, 0.25),))
    wanted = [Plan(), Plan(), Plan((Drop(2, 0.25),)), later, later]
    assert run(policy, 4) == wanted[:4]
    policy.reset()
    assert run(policy, 4) == wanted[:4]


def test_copies_are_independent() -> None:
    policy = AfterShare(0.0, 0.25, layer=2)
    used = copy.deepcopy(policy)
    run(used, 3)
    assert policy.plan(state(0, 4), None) == Plan((Drop(2, 0.25),))
    assert policy == used, "what happened in a call is no part of a policy's options"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": -0.1, "keep": 0.5}, r"share=-0.1: must lie in \[0, 1\]"),
        ({"share": 0.1, "keep": 1.5}, r"keep=1.5: must lie in \[0, 1\]"),
        ({"share": float("nan"), "keep": 0.5}, "share=nan"),
        ({"share": "half", "keep": 0.5}, "share='half': must lie in"),
        ({"share": 0.5, "keep": None}, "keep=None: must lie in"),
        ({"share": 0.5, "keep": 0.5, "layer": -1}, "layer=-1: must be a whole number, 0 or more"),
        ({"share": 0.5, "keep": 0.5, "layer": 1.5}, "layer=1.5: must be a whole number"),
        ({"share": 0.5, "keep": 0.5, "layer": "2"}, "layer='2': must be a whole number"),
        ({"share": 0.5, "keep": 0.5, "hold": "no"}, "hold='no': must be True or False"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AfterShare(**options)


def test_state_is_no_option() -> None:
    with pytest.raises(TypeError, match="policy 'after_share'"):
        policies.make("after_share", share=0.5, keep=0.5, _dropped=True)


def test_one_step_early_as_in_published_scripts() -> None:
    """Half of two steps: the published scripts of some methods drop in the very first."""
    assert [bool(p.drops) for p in run(AfterShare(0.5, 0.25), 2)] == [False, True]
    assert [bool(p.drops) for p in run(AfterShare(0.5, 0.25, early=1), 2)] == [True, True]
    late = run(AfterShare(0.75, 0.25, early=1), 64)
    assert [bool(p.drops) for p in late].index(True) == 47


def test_after_steps_whatever_their_number() -> None:
    for n_steps in (2, 16):
        plans = run(AfterSteps(1, 0.25, layer=2), n_steps)
        assert plans[0] == Plan() and plans[1] == Plan((Drop(2, 0.25),))
        assert plans[2:] == [Plan((Drop(0, 0.25),))] * (n_steps - 2)


def test_stages_as_sequences_or_single_numbers() -> None:
    wanted = Plan((Drop(1, 0.5), Drop(2, 0.25)))
    for policy in (
        ByLayer([1, 2], [0.5, 0.25]),
        ByLayer([1, 2], (0.5, 0.25)),
        ByLayer((1, 2), [0.5, 0.25]),
    ):
        assert run(policy, 2) == [wanted] * 2 and policy.drops_ahead == set(wanted.drops)
    assert run(ByLayer(1, 0.5, share=0.5), 2) == [Plan(), Plan((Drop(1, 0.5),))]


@pytest.mark.parametrize(
    ("layers", "keeps", "message"),
    [
        ("1/2", (0.5, 0.5), "layers='1/2': must be a sequence, such as"),
        ((1, 2), 0.5, "give one keep for each layer"),
        ((), (), "give one keep for each layer"),
        ((2, 1), (0.5, 0.25), "layers must ascend"),
        ((1, 2), (0.25, 0.5), "keep must not rise"),
        ([-1], [0.5], "a layer=-1"),
        ([1], [1.5], "a keep=1.5"),
    ],
)
def test_wrong_stages_are_refused(layers: Any, keeps: Any, message: str) -> None:
    with pytest.raises((ValueError, PlanError), match=message):
        ByLayer(layers, keeps)


def test_vtw_withdraws_all_before_a_layer() -> None:
    assert run(VTW(3), 2) == [Plan((Drop(3, 0.0),))] * 2
    assert run(VTW(3, share=0.5, hold=True), 4)[2:] == [
        Plan((Drop(3, 0.0),)),
        Plan((Drop(0, 0.0),)),
    ]
    with pytest.raises(ValueError, match="layer=-1"):
        VTW(-1)
