"""Merges: numbered among all tokens, composed, carried out, and refused when wrong."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.merging import among_all, check_selection, composed, merged_rows
from saccade.controller.views import Merge, Selection


def selection(keep: list[int], entries: list[tuple[int, int, float]] | None = None) -> Selection:
    merge = None
    if entries:
        into, source, weight = zip(*entries, strict=True)
        merge = Merge(torch.tensor(into), torch.tensor(source), torch.tensor(weight))
    return Selection(torch.tensor(keep), merge)


def carried_out(chosen: Selection, values: Tensor) -> Tensor:
    """All rows after a selection; those that went are NaN."""
    out = torch.full_like(values, torch.nan)
    out[chosen.keep] = values[chosen.keep]
    if chosen.merge is not None:
        into, sums = merged_rows(chosen.merge, values)
        out[torch.from_numpy(into)] = sums
    return out


def test_sums_by_hand() -> None:
    values = torch.tensor([[1.0], [10.0], [100.0], [1000.0]])
    merge = Merge(torch.tensor([2, 2, 0]), torch.tensor([1, 3, 0]), torch.tensor([0.5, 2.0, 3.0]))
    into, sums = merged_rows(merge, values)
    assert into.tolist() == [0, 2] and sums[:, 0].tolist() == [3.0, 2005.0]


def test_among_all_renumbers_both_ends() -> None:
    made = among_all(selection([0, 2], [(2, 1, 1.0)]), torch.tensor([3, 5, 8]))
    assert made.merge is not None and made.keep.tolist() == [3, 8]
    assert made.merge.into.tolist() == [8] and made.merge.source.tolist() == [5]


@given(st.data())
def test_a_composed_selection_does_what_both_do(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 7))
    weight = st.sampled_from([0.25, 0.5, 1.0, -2.0])

    def draw(present: list[int]) -> Selection:
        keep = sorted(data.draw(st.sets(st.sampled_from(present), min_size=1)))
        pairs = st.tuples(st.sampled_from(keep), st.sampled_from(present), weight)
        return selection(keep, data.draw(st.lists(pairs, max_size=6)))

    values = torch.arange(1.0, total + 1)[:, None] ** 2
    first = draw(list(range(total)))
    then = draw(first.keep.tolist())
    after_first = carried_out(first, values)
    both = carried_out(then, after_first.nan_to_num())[then.keep]
    at_once = carried_out(composed(first, then), values)[then.keep]
    torch.testing.assert_close(at_once, both)


def test_nothing_before_composes_to_itself() -> None:
    own = selection([0], [(0, 1, 1.0)])
    assert composed(None, own) is own and composed(selection([0, 1]), own) is own


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (selection([0, 2], [(1, 0, 1.0)]), "goes into tokens that do not stay"),
        (selection([0, 2], [(2, 4, 1.0)]), "sources of a merge must lie within 0 to 3"),
        (selection([0, 2], [(2, 1, torch.inf)]), "weights of a merge must be finite"),
        (
            Selection(
                torch.tensor([0, 2]), Merge(torch.tensor([0]), torch.arange(2), torch.ones(2))
            ),
            r"must be \(M,\)",
        ),
        (
            Selection(torch.tensor([0, 2]), features=torch.ones(3, 1)),
            "features of 3 tokens; 2 stay",
        ),
    ],
)
def test_wrong_merges_are_refused(chosen: Selection, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_selection(chosen, 2, 4, "Mine")
