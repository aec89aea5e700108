"""FastV: keep the tokens that receive most attention."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from saccade.controller.errors import CapabilityError
from saccade.controller.types import VisualView
from saccade.pruners.base import ScorePruner

Queries = Literal["response", "all", "last"]


@dataclass(frozen=True)
class FastV(ScorePruner):
    """Keep the visual tokens that received most attention in the layer before the drop.

    Parameters
    ----------
    queries : "response", "all" or "last"
        Rows whose attention counts: those of the response, all, or the last one alone.

    Raises
    ------
    ValueError
        If `queries` is none of these.

    Notes
    -----
    FastV, arXiv 2403.06764, section 4: the score is the softmaxed attention, mean over heads, of
    the LAST row of a causal prefill, which is ``queries="last"``. A dMLLM has no such row: it
    attends both ways and has its answer in the sequence, so the default asks the rows of the
    answer. The adaptation in arXiv 2511.15098 asks all rows and averages the heads BEFORE the
    softmax (`logit_mean_scores`); ``queries="all"`` asks the same rows but keeps FastV's order.
    Kept tokens stay in their original order; that adaptation leaves them in the order of scores.
    """

    queries: Queries = "response"
    needs: frozenset[str] = field(init=False, repr=False, compare=False)

    source: ClassVar[str] = "FastV, arXiv 2403.06764"
    site = "layer"

    def __post_init__(self) -> None:
        if self.queries not in get_args(Queries):
            allowed = ", ".join(map(repr, get_args(Queries)))
            raise ValueError(f"queries={self.queries!r}: must be one of {allowed}")
        object.__setattr__(self, "needs", frozenset({f"attention:{self.queries}"}))

    def score(self, view: VisualView) -> Tensor:
        """Attention (N,) that each token received; higher is kept.

        Raises
        ------
        CapabilityError
            If the view does not hold it.
        """
        if self.queries not in view.attention:
            held = ", ".join(f"'attention:{name}'" for name in view.attention) or "no attention"
            raise CapabilityError(f"{self!r} needs 'attention:{self.queries}'; the view has {held}")
        return view.attention[self.queries]


def received_attention(attention: Tensor) -> Tensor:
    """Attention each visual token received, FastV's score.

    Parameters
    ----------
    attention : Tensor (H, Q, N)
        After the softmax over ALL keys: H heads, Q >= 1 query rows, columns of the visual tokens.

    Returns
    -------
    Tensor (N,) float32
        Mean over heads and rows, in [0, 1].
    """
    return attention.mean(dim=(0, 1), dtype=torch.float32)


def logit_mean_scores(queries: Tensor, keys: Tensor, visual: Tensor) -> Tensor:
    """Attention each visual token received, heads averaged before the softmax.

    Parameters
    ----------
    queries : Tensor (H, Q, D)
        Query rows, position encoding applied.
    keys : Tensor (H, L, D)
        Of the whole sequence, position encoding applied; one per query head.
    visual : Tensor (N,) int64
        Positions of the visual tokens among the L keys.

    Returns
    -------
    Tensor (N,) float32
        Sum over the query rows of the softmax over keys of the mean over heads of the scaled
        logits; in [0, Q].

    Notes
    -----
    The score of the adaptation of FastV in arXiv 2511.15098; no mask is applied. FastV itself takes
    the softmax per head and then the mean (`received_attention`), of the last row only.
    """
    n_heads, _, width = queries.shape
    logits = torch.einsum("hqd,hld->ql", queries.float(), keys.float())
    weights = torch.softmax(logits / (n_heads * width**0.5), dim=-1)
    return weights[:, visual].sum(dim=0)
