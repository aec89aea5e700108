"""The ladder: down, hold, up, each for its reason and no other."""

from dataclasses import replace
from typing import Any

import pytest

from saccade.controller import Drop, Plan, Progressive
from tests.controller.signal_sequences import keeps, run, signals

CALM = signals(answer=0.2, confidence=0.5)
SURE = signals(answer=0.4, confidence=0.95)
QUICK: dict[str, Any] = {"warmup": 1, "every": 1, "cover": 0.0}


def test_a_rise_of_attention_and_a_surge_of_confidence_step_down() -> None:
    shown = [CALM, CALM, CALM, SURE, SURE, SURE]
    policy = Progressive((1, 0.5, 0.25), rise=0.1, **QUICK)
    assert keeps(run(policy, shown)) == [1, 1, 1, 1, 0.5, 0.5, 0.5]
    plans = run(Progressive((1, 0.5, 0.25), **QUICK), shown)
    assert keeps(plans) == [1, 1, 1, 1, 0.5, 0.25, 0.25]
    assert not any(plan.reselect for plan in plans)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ([signals(0.2, confidence=0.95)] * 4, "attention did not rise"),
        ([CALM, signals(0.4, confidence=0.5), signals(0.4, confidence=0.5)], "confidence did not"),
        ([CALM] * 5, "neither did"),
    ],
)
def test_one_of_the_two_is_not_enough(shown: Any, why: str) -> None:
    assert keeps(run(Progressive(rise=0.1, **QUICK), shown)) == [1.0] * (len(shown) + 1), why


def test_a_surge_counts_below_the_level_too() -> None:
    shown = [signals(confidence=0.3), signals(confidence=0.4), signals(confidence=0.6)]
    assert keeps(run(Progressive((1, 0.5), surge=0.3, **QUICK), shown)) == [1, 1, 1, 0.5]
    assert keeps(run(Progressive((1, 0.5), surge=0.4, **QUICK), shown)) == [1, 1, 1, 1]


@pytest.mark.parametrize("warmup", [1, 2, 5])
def test_clean_steps_come_first(warmup: int) -> None:
    plans = run(Progressive((1, 0.5), warmup=warmup, every=1, cover=0.0), [SURE] * 6)
    assert keeps(plans) == [1.0] * warmup + [0.5] * (7 - warmup)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_steps_between_moves(every: int) -> None:
    plans = run(Progressive((1, 0.5, 0.25, 0.0), warmup=1, every=every, cover=0.0), [SURE] * 9)
    moves = [
        i for i, (a, b) in enumerate(zip(keeps(plans), keeps(plans)[1:], strict=False)) if a > b
    ]
    assert moves == [0, every, 2 * every]
    assert keeps(plans)[-1] == 0.0, "and no further than the last rung"


@pytest.mark.parametrize(
    ("cover", "wanted"), [(0.9, [1, 0.5, 0.5, 0.5]), (0.8, [1, 0.5, 0.25, 0.25])]
)
def test_what_stays_must_hold_enough_of_the_attention(cover: float, wanted: list[float]) -> None:
    """Two of four tokens hold 97 %, one 81 % of what all had, and none nothing."""
    spread = signals(0.4, confidence=0.95, received=(0.81, 0.16, 0.02, 0.01))
    half = signals(0.4, confidence=0.95, received=(0.83, 0.17, 0.0, 0.0))
    one = signals(0.4, confidence=0.95, received=(1.0, 0.0, 0.0, 0.0))
    policy = Progressive((1, 0.5, 0.25, 0), warmup=1, every=1, cover=cover)
    shown = [spread, half, one if cover < 0.9 else half]
    assert keeps(run(policy, shown)) == wanted


def test_what_rungs_left_of_the_attention_multiplies() -> None:
    """Of what is there one token holds 90 %, but of what was there 81."""
    first = signals(0.4, confidence=0.95, received=(0.5, 0.4, 0.1, 0.0))
    later = signals(0.4, confidence=0.95, received=(0.9, 0.1, 0.0, 0.0))
    policy = Progressive((1, 0.5, 0.25), warmup=1, every=1, cover=0.85)
    assert keeps(run(policy, [first, later, later])) == [1, 0.5, 0.5, 0.5]


def broken(position: int, confidence: float, masked: int = 8) -> Any:
    values = [0.95] * 8
    values[position] = confidence
    return signals(0.4, confidence=values, masked=masked)


def test_one_position_that_falls_brings_the_tokens_back() -> None:
    shown = [SURE, SURE, broken(6, 0.6), SURE, SURE]
    plans = run(Progressive((1, 0.5, 0.25), retry=9, **QUICK), shown)
    assert keeps(plans) == [1, 0.5, 0.25, 0.5, 0.5, 0.5]
    assert plans[3] == Plan((Drop(0, 0.5),)), "the choice that was there before returns"


@pytest.mark.parametrize("last", [broken(6, 0.9), broken(0, 0.1, masked=7)])
def test_small_falls_and_committed_positions_do_not_count(last: Any) -> None:
    plans = run(Progressive((1, 0.5, 0.25), **QUICK), [SURE, SURE, last])
    assert keeps(plans) == [1, 0.5, 0.25, 0.25]


def test_a_rung_that_failed_is_tried_again_later() -> None:
    shown = [SURE, broken(7, 0.5), *[SURE] * 6]
    plans = run(Progressive((1, 0.5), retry=4, **QUICK), shown)
    assert keeps(plans) == [1, 0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert [plan.reselect for plan in plans].index(True) == 6, "and chosen anew"


def test_all_the_way_back_is_a_full_step() -> None:
    plans = run(Progressive((1, 0.5), **QUICK), [SURE, broken(7, 0.5)])
    assert plans[2] == Plan()


def test_confidence_that_stalls_below_the_level_brings_the_tokens_back() -> None:
    unsure = signals(0.4, confidence=0.85)
    shown = [SURE, unsure, *[signals(0.4, confidence=0.86)] * 5]
    plans = run(Progressive((1, 0.5), stall=3, fall=1.0, retry=30, **QUICK), shown)
    assert keeps(plans) == [1, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_confidence_above_the_level_may_stall() -> None:
    plans = run(Progressive((1, 0.5), stall=1, **QUICK), [SURE] * 8)
    assert keeps(plans) == [1] + [0.5] * 8


def test_layers_that_are_skipped_are_no_change_of_attention() -> None:
    """What nothing can attend to in a skipped layer neither falls nor comes back."""
    whole = signals(0.4, confidence=0.85, layers=[0.5, 0.5, 0.5, 0.5])
    skips = replace(
        signals(0.4, confidence=0.86, layers=[0.5, 0.5, 0, 0]), bypassed=frozenset({2, 3})
    )
    shown = [SURE, skips, skips, replace(whole, confidence=skips.confidence)]
    assert skips.visual_mass == whole.visual_mass == 0.5
    plans = run(Progressive((1, 0.5), fall=1.0, stall=9, retry=30, **QUICK), shown)
    assert keeps(plans) == [1, 0.5, 0.5, 0.5, 0.5]
    grown = replace(signals(0.4, confidence=0.86, layers=[0.7, 0.7, 0, 0]), bypassed=skips.bypassed)
    again = run(Progressive((1, 0.5), fall=1.0, stall=9, retry=30, **QUICK), [*shown[:3], grown])
    assert keeps(again) == [1, 0.5, 0.5, 0.5, 1], "but in the same layers it counts"


def test_positions_that_were_not_forwarded_tell_nothing() -> None:
    hole = signals(0.4, confidence=[float("nan"), *[0.95] * 7])
    assert hole.mean_confidence == pytest.approx(0.95) and hole.min_confidence == 0.95
    assert keeps(run(Progressive((1, 0.5), **QUICK), [hole] * 8)) == [1] + [0.5] * 8


def test_attention_that_turns_back_to_the_picture_brings_it_back() -> None:
    low = signals(0.4, 0.3, confidence=0.85)
    back = signals(0.4, 0.6, confidence=0.86)
    plans = run(Progressive((1, 0.5), fall=1.0, retry=30, **QUICK), [SURE, low, low, back])
    assert keeps(plans) == [1, 0.5, 0.5, 0.5, 1]
    calm = run(Progressive((1, 0.5), fall=1.0, rebound=0.4, **QUICK), [SURE, low, low, back])
    assert keeps(calm) == [1, 0.5, 0.5, 0.5, 0.5]


def test_without_signals_it_does_nothing() -> None:
    from saccade.controller import Signals

    assert keeps(run(Progressive(**QUICK), [Signals()] * 4)) == [1.0] * 5


def test_what_it_announces_is_what_it_plans() -> None:
    policy = Progressive((1, 0.5, 0), layer=2, cover=0.0)
    assert policy.drops_ahead == {Drop(2, 0.5), Drop(2, 0.0)}
    planned = {drop for plan in run(policy, [SURE] * 12) for drop in plan.drops}
    assert planned == policy.drops_ahead


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ladder": (0.5, 0.25)}, "must descend from 1"),
        ({"ladder": (1, 0.5, 0.5)}, "must descend from 1"),
        ({"ladder": "1/half"}, "must be a sequence, such as"),
        ({"warmup": 0}, "warmup=0: must be a whole number, 1 or more"),
        ({"fall": -0.1}, r"fall=-0.1: must lie in \[0, 1\]"),
        ({"stall": 1.5}, "stall=1.5: must be a whole number"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Progressive(**options)
