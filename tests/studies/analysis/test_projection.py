"""The projection is plain counting; a slow count agrees with it."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.studies.analysis.projection import projected, projected_macs
from saccade.studies.runs.record import Record

LAYERS, HIDDEN, INNER = 32, 4096, 12288


def count_slowly(steps: list[list[float]], response: int) -> int:
    """Multiply-accumulates of every matrix product of every layer of every step."""
    total = 0
    for shares in steps:
        for layer in range(LAYERS):
            share = shares[int(Fraction(layer * len(shares), LAYERS))]
            n = round(share * 3645) + 130 + response
            total += 4 * n * HIDDEN * HIDDEN  # query, key, value, output
            total += n * n * HIDDEN * 2  # scores, and their sum of values
            total += 3 * n * HIDDEN * INNER  # gate, up, down
    return total


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), max_size=4)
    ),
    st.integers(1, 128),
)
def test_agrees_with_the_slow_count(steps: list[list[float]], response: int) -> None:
    assert projected_macs([(1, step) for step in steps], response) == count_slowly(steps, response)


def test_runs_of_equal_steps_count_as_often() -> None:
    runs = [(3, [1.0] * 6), (5, [0.25] * 6)]
    assert projected_macs(runs, 64) == count_slowly([[1.0] * 6] * 3 + [[0.25] * 6] * 5, 64)


def test_layers_are_spread_over_the_published_ones() -> None:
    one_of_six = projected_macs([(1, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])], 8)
    per_layer = projected_macs([(1, [1.0] + [0.0] * 31)], 8) - projected_macs([(1, [0.0])], 8)
    # Layers 0 to 5 of 32 lie in the first sixth: floor(5 * 6 / 32) is 0, floor(6 * 6 / 32) is 1.
    assert one_of_six == projected_macs([(1, [0.0])], 8) + 6 * per_layer


def test_a_record_is_priced_by_its_own_ratios(blank: Callable[..., Record]) -> None:
    runs = [(2, [100, 100, 25, 25]), (2, [25, 25, 25, 25])]
    record = blank("a", "code", 0, 0, visual_runs=runs, response=16)
    shares = [[1.0, 1.0, 0.25, 0.25]] * 2 + [[0.25] * 4] * 2
    assert projected(record) == count_slowly(shares, 16)


def test_without_a_picture_nothing_is_gained(blank: Callable[..., Record]) -> None:
    record = blank("a", "code", 0, 0, n_visual=0, visual_runs=[(2, [0, 0])], response=16)
    assert projected(record) == pytest.approx(count_slowly([[1.0]] * 2, 16))
