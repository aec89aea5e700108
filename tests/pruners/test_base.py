"""How scores become a selection."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.views import VisualView
from saccade.pruners import ScorePruner, check_pruner
from saccade.pruners.base import check_count, top_indices
from tests.pruners.views import view_of


@dataclass(frozen=True)
class ByNorm(ScorePruner):
    """The shortest pruner one can write."""

    def score(self, view: VisualView) -> Tensor:
        return view.features.norm(dim=1)


@given(st.lists(st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0, torch.inf, -torch.inf])), st.data())
def test_the_highest_stay_and_of_equals_the_first(scores: list[float], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(scores)))
    best = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]
    kept = top_indices(torch.tensor(scores), n)
    assert kept.dtype == torch.int64
    assert kept.tolist() == sorted(best)


def test_ties_go_to_the_lower_index_in_long_inputs() -> None:
    assert top_indices(torch.zeros(5000), 1234).tolist() == list(range(1234))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_scores_of_any_type(dtype: torch.dtype) -> None:
    assert top_indices(torch.tensor([1, 4, 2, 3]).to(dtype), 2).tolist() == [1, 3]


def test_scores_are_compared_in_float32() -> None:
    scores = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)
    assert top_indices(scores, 1).tolist() == [0]


@pytest.mark.parametrize("scores", [torch.tensor([1.0, torch.nan, 2.0]), torch.ones(3, 1)])
def test_scores_that_cannot_be_ranked_are_refused(scores: Tensor) -> None:
    with pytest.raises(PlanError, match="NaN|shape"):
        top_indices(scores, 1)


def test_count_check() -> None:
    check_count(0, 0)
    check_count(3, 3)
    with pytest.raises(PlanError, match="n=4"):
        check_count(4, 3)


def test_a_pruner_of_one_line() -> None:
    features = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [0.0, 1.0]])
    assert ByNorm().select(view_of(features), 2).keep.tolist() == [0, 2]
    assert ByNorm().select(view_of(features), 3).keep.tolist() == [0, 1, 2]
    check_pruner(ByNorm())


def test_nan_scores_name_the_pruner() -> None:
    features = torch.tensor([[1.0], [torch.nan], [2.0]])
    with pytest.raises(PlanError, match=r"ByNorm\(\): 1 of 3 scores are NaN"):
        ByNorm().select(view_of(features), 1)


def test_scores_of_a_wrong_shape_name_the_pruner() -> None:
    class PerEntry(ScorePruner):
        def score(self, view: VisualView) -> Tensor:
            return view.features

    with pytest.raises(PlanError, match=r"PerEntry.* gave scores of shape \(3, 2\), not \(3,\)"):
        PerEntry().select(view_of(torch.ones(3, 2)), 1)


@pytest.mark.parametrize("n", [0, 4])
def test_no_score_where_nothing_is_decided(n: int) -> None:
    class Silent(ScorePruner):
        def score(self, view: VisualView) -> Tensor:
            raise AssertionError("asked for scores")

    assert Silent().select(view_of(torch.ones(4, 2)), n).keep.tolist() == list(range(n))
