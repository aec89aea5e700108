"""Which layers are skipped, and when they are measured."""

from typing import Any

import pytest
import torch

from saccade.controller import EveryNSteps, LayerSkip, Plan, Signals
from saccade.controller.policies.layer_skip import skipped_layers
from tests.controller.signal_sequences import run, signals, state

nan = float("nan")
SPIKE = signals(layers=[0.1, 0.9, 0.2, 0.3])


@pytest.mark.parametrize(
    ("masses", "options", "wanted"),
    [
        ([0.1, 0.9, 0.2, 0.3], {}, {2, 3}),
        ([0.1, 0.9, 0.2, 0.3], {"early": True}, {0, 2, 3}),
        ([0.1, 0.9, 0.2, 0.3], {"margin": 1, "early": True}, {3}),
        ([0.1, 0.9, 0.8, 0.3], {}, {3}),
        ([0.9, 0.1, nan, 0.3], {}, {1, 3}),
        ([nan, nan, nan, nan], {}, set()),
        ([0.5, 0.5, 0.5, 0.5], {}, set()),
        ([0.5, 0.29, 0.3, 0.31], {}, {1}),
    ],
)
def test_layers_far_below_the_spike(masses: Any, options: Any, wanted: set[int]) -> None:
    assert skipped_layers(torch.tensor(masses), 0.6, **options) == wanted


def test_nothing_measured_nothing_skipped() -> None:
    assert skipped_layers(None, 0.6) == frozenset()
    assert run(LayerSkip(), [Signals()] * 3) == [Plan()] * 4


def test_the_first_step_is_measured_and_holds() -> None:
    flat = signals(layers=[0.0, 0.9, 0.0, 0.0])  # what skipped layers show later
    plans = run(LayerSkip(), [SPIKE, flat, flat])
    assert plans == [Plan()] + [Plan(bypass=frozenset({2, 3}))] * 3


def test_it_measures_again() -> None:
    other = signals(layers=[0.1, 0.2, 0.9, 0.3])
    plans = run(LayerSkip(again=2), [SPIKE, SPIKE, other, other, other])
    assert [sorted(plan.bypass) for plan in plans] == [[], [2, 3], [], [3], [], [3]]


def test_only_full_steps_are_watched() -> None:
    policy = LayerSkip(again=3)
    watched = []
    for step in range(7):
        policy.plan(state(step, 8), SPIKE if step else None)
        watched.append(policy.watches(state(step, 8)))
    assert watched == [True, False, False, True, False, False, True]


def test_it_waits_until_a_full_step_is_measured() -> None:
    shown = [Signals(), Signals(), SPIKE, Signals()]
    assert [sorted(plan.bypass) for plan in run(LayerSkip(), shown)] == [[], [], [], [2, 3], [2, 3]]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_measured_where_it_is_asked_now_and_then(n: int) -> None:
    policy, before, skipped = EveryNSteps(LayerSkip(), n), None, []
    policy.reset()
    for step in range(7):
        skipped.append(sorted(policy.plan(state(step, 8), before).bypass))
        before = SPIKE if policy.watches(state(step, 8)) else Signals()
    assert skipped == [[]] * n + [[2, 3]] * (7 - n)


def test_known_layers_are_skipped_from_the_start_and_nothing_is_read() -> None:
    policy = LayerSkip(layers=(1, 3))
    assert run(policy, [SPIKE]) == [Plan(bypass=frozenset({1, 3}))] * 2
    assert policy.reads == frozenset() and not policy.watches(state(0, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.2}, r"threshold=1.2: must lie in \[0, 1\]"),
        ({"margin": -1}, "margin=-1: must be a whole number, 0 or more"),
        ({"layers": "2/x"}, "must be a sequence, such as"),
        ({"layers": (1, -2)}, "a layer=-2"),
        ({"early": 1}, "early=1: must be True or False"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerSkip(**options)
