"""FastV keeps what receives most attention from the rows it names."""

import pytest
import torch

from saccade.controller.errors import CapabilityError
from saccade.pruners import FastV
from saccade.pruners.fastv import logit_mean_scores, received_attention
from tests.pruners.views import QUERIES, view_of


@pytest.mark.parametrize("queries", QUERIES)
def test_fastv_reads_the_rows_it_names(queries: str) -> None:
    best = {"response": 0, "all": 1, "last": 2}
    attention = {name: torch.eye(4)[i] for name, i in best.items()}
    pruner = FastV(queries)  # type: ignore[arg-type]
    assert pruner.needs == {f"attention:{queries}"}
    assert pruner.site == "layer"
    assert pruner.select(view_of(torch.zeros(4, 1), **attention), 1).keep.tolist() == [
        best[queries]
    ]


def test_fastv_refuses_other_rows() -> None:
    with pytest.raises(ValueError, match="queries='first': must be one of 'response', 'all'"):
        FastV("first")  # type: ignore[arg-type]


def test_fastv_says_what_the_view_lacks() -> None:
    view = view_of(torch.zeros(3, 1), all=torch.ones(3))
    with pytest.raises(CapabilityError, match="needs 'attention:last'; the view has 'attention:al"):
        FastV("last").select(view, 1)


def test_received_attention_is_the_mean_over_heads_and_rows() -> None:
    attention = torch.arange(24.0).reshape(2, 3, 4)
    assert received_attention(attention).tolist() == [10.0, 11.0, 12.0, 13.0]
    assert received_attention(attention.bfloat16()).dtype == torch.float32


def test_averaging_heads_before_the_softmax_is_another_score() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(2, rows, 4, generator=generator) for rows in (3, 9))
    visual = torch.tensor([1, 2, 5])
    logits = queries @ keys.transpose(1, 2) / 2
    scores = logit_mean_scores(queries, keys, visual)
    torch.testing.assert_close(scores, logits.mean(dim=0).softmax(dim=-1)[:, visual].sum(dim=0))
    per_head = received_attention(logits.softmax(dim=-1)[..., visual]) * len(queries[0])
    assert not torch.allclose(scores, per_head, rtol=0.01)
    # With one head the two differ only in that one sums the rows and the other averages them.
    one = received_attention(logits[:1].softmax(dim=-1)[..., visual]) * len(queries[0])
    torch.testing.assert_close(logit_mean_scores(queries[:1], keys[:1], visual), one)
