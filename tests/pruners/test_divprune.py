"""DivPrune picks the farthest points, without ever holding all distances."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.controller.errors import PlanError
from saccade.pruners import DivPrune
from saccade.pruners.divprune import (
    distances_to,
    farthest_points,
    nearest_distances,
    unit_rows,
)
from tests.pruners.views import random_features, view_of


def naive_farthest_points(features: Tensor, n: int) -> tuple[list[int], float]:
    """Picks in float64 from all distances, and by how much the closest decision was won."""
    units = features.double() / features.double().norm(dim=1, keepdim=True)
    distances = 1 - units @ units.T
    picks: list[int] = []
    margin = torch.inf
    for _ in range(n):
        if picks:
            gaps = distances[picks].amin(dim=0)
            gaps[picks] = -torch.inf
        else:
            gaps = distances.sort(dim=0).values[1]
        best = gaps.sort(descending=True).values
        margin = min(margin, float(best[0] - best[1]))
        picks.append(int(gaps.argmax()))
    return picks, margin


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(2, 16), st.integers(0, 10**6), st.data())
def test_farthest_points_equal_the_naive_ones(
    total: int, width: int, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, total))
    features = random_features(total, width, seed)
    picks, margin = naive_farthest_points(features, n)
    assume(margin > 1e-5)
    assert farthest_points(features, n).tolist() == picks
    assert DivPrune().select(view_of(features), n).keep.tolist() == sorted(picks)


def test_farthest_points_over_several_chunks() -> None:
    features = random_features(700, 24, seed=1)
    picks, margin = naive_farthest_points(features, 40)
    assert margin > 1e-6
    assert farthest_points(features, 40).tolist() == picks


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_lengths_of_the_vectors_do_not_matter(scale: float) -> None:
    features = random_features(40, 8, seed=2)
    scaled = features.clone()
    scaled[::3] *= scale
    assert farthest_points(scaled, 15).tolist() == farthest_points(features, 15).tolist()


def test_distances_are_taken_in_float32() -> None:
    features = random_features(60, 16, seed=3).bfloat16()
    assert farthest_points(features, 30).equal(farthest_points(features.float(), 30))


def test_of_equally_far_points_the_first_is_picked() -> None:
    assert farthest_points(torch.eye(6), 4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [0, 1, 6, 24])
def test_equal_tokens_give_distinct_indices(n: int) -> None:
    kept = DivPrune().select(view_of(torch.ones(24, 5) / 3), n).keep
    assert len(set(kept.tolist())) == n


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_duplicates_come_last(seed: int, n: int) -> None:
    originals = random_features(20, 8, seed)
    copies = torch.randint(20, (20,), generator=torch.Generator().manual_seed(seed))
    features = torch.cat([originals, originals[copies]])
    picks = farthest_points(features, n)
    assert len(set(picks.tolist())) == n
    assert len(features[picks].unique(dim=0)) == min(n, 20)


def test_a_zero_vector_is_orthogonal_to_all_but_its_like() -> None:
    features = torch.tensor([[1.0, 0.1], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    units, zero = unit_rows(features)
    expected = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    torch.testing.assert_close(distances_to(units, zero, torch.tensor([1])), expected)
    nearest = nearest_distances(units, zero)
    torch.testing.assert_close(nearest[[1, 3]], torch.zeros(2))
    torch.testing.assert_close(nearest[4], torch.tensor(1.0))
    picks = farthest_points(features, 5).tolist()
    assert picks[0] == 4 and set(picks[:3]) & {1, 3} and set(picks[:3]) & {0, 2}
    assert sorted(picks) == [0, 1, 2, 3, 4]
    assert farthest_points(torch.zeros(3, 2), 2).unique().numel() == 2


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    features = torch.ones(4, 3)
    features[2, 1] = bad
    with pytest.raises(PlanError, match="features of 1 of 4 tokens.*DivPrune"):
        DivPrune().select(view_of(features), 2)


def test_one_token() -> None:
    assert farthest_points(torch.ones(1, 3), 1).tolist() == [0]
    assert farthest_points(torch.ones(1, 3), 0).tolist() == []
    assert DivPrune().select(view_of(torch.ones(1, 3)), 1).keep.tolist() == [0]


class Largest(TorchDispatchMode):
    """Number of entries of the largest tensor that an operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        results = out if isinstance(out, tuple | list) else (out,)
        sizes = [result.numel() for result in results if isinstance(result, Tensor)]
        self.numel = max([self.numel, *sizes])
        return out


def test_all_distances_never_exist_at_once() -> None:
    total = 20_000
    features = random_features(total, 8, seed=4)
    with Largest() as largest:
        assert len(farthest_points(features, 10)) == 10
    assert total <= largest.numel <= total * 512 < total * total
