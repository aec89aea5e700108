"""TRIM: keep the patches that the question is about, and one mean of the others."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.names import not_allowed
from saccade.controller.protocols import Site
from saccade.controller.views import Merge, Selection, VisualView
from saccade.pruners.base import ChoosingPruner, last_dropped, others, top_indices

Relevance = Literal["embeddings", "text-tower"]


@dataclass(frozen=True, repr=False)
class TRIM(ChoosingPruner):
    """Keep tokens by their relevance to the question, and fold all others into one mean.

    The mean is taken of the vision tower's features, before the projector, and stands at the place
    of the last token that was dropped; it counts among the `n`.

    Parameters
    ----------
    relevance : "embeddings" or "text-tower"
        "text-tower": as published, inner products with the question's embedding by the text tower
        that belongs to the vision tower; few checkpoints have one. "embeddings": cosine of a visual
        token and the mean of the prompt after the picture, both as the language model embeds them.
        That is not a published method.
    sign : -1 or 1
        Keep the tokens with the LOWEST (-1, as published: similarities of patches and texts are
        known to be inverted) or the highest relevance.
    iqr : bool
        Keep only outliers, above the third quartile by 1.5 interquartile ranges, but never more
        than `n`; else `n`.
    aggregate : bool
        Fold the others into one; without it they are lost.

    Raises
    ------
    ValueError
        If `relevance` or `sign` is not one of these.

    Notes
    -----
    TRIM, arXiv 2409.10994. Differs in that quartiles are those of the request alone, never of a
    batch, and that the mean of the others stands at the place of the last one dropped.
    """

    relevance: Relevance = "embeddings"
    sign: int = -1
    iqr: bool = False
    aggregate: bool = True

    source: ClassVar[str] = "TRIM, arXiv 2409.10994"
    site: ClassVar[Site] = "tower"
    merges: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.relevance not in get_args(Relevance):
            raise ValueError(not_allowed("relevance", self.relevance, get_args(Relevance)))
        if self.sign not in (-1, 1):
            raise ValueError(f"sign={self.sign!r}: must be -1 or 1")

    @property
    def needs(self) -> frozenset[str]:
        """What relevance is computed from."""
        own = {"centers"} | ({"tower:features"} if self.aggregate else set())
        if self.relevance == "text-tower":
            return frozenset(own | {"tower:text"})
        return frozenset(own | {"features", "text"})

    @property
    def adaptive(self) -> bool:
        """Whether fewer than `n` may stay."""
        return self.iqr

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens, or fewer by quartiles.

        Raises
        ------
        PlanError
            If relevances are NaN.
        """
        total = len(view)
        scores = shares(self._similarity(view), self.sign)
        if self.iqr:
            n = min(n, int(total * outlier_share(scores)) + self.aggregate)
        if not self.aggregate:
            return Selection(top_indices(scores, n))
        keep = top_indices(scores, n - 1)
        place = last_dropped(keep, view.centers)
        rest = others(keep, total)
        # Newlines have no features in the tower.
        sources = rest[~view.centers[:, 0].isnan().cpu()[rest]]
        if not len(sources):  # newlines only: one of them stays as it is
            return Selection(torch.cat([keep, place]).sort().values)
        weight = torch.full((len(sources),), 1.0 / len(sources))
        merge = Merge(place.expand(len(sources)), sources, weight, "tower")
        return Selection(torch.cat([keep, place]).sort().values, merge)

    def _similarity(self, view: VisualView) -> Tensor:
        if self.relevance == "text-tower":
            return view.of("tower:text")
        words = view.of("text").float()
        if not len(words):
            raise PlanError(
                f"{self!r}: there is no word after the picture to compare it with; ask something "
                "behind it, or take a pruner that reads no words, such as divprune"
            )
        return torch.nn.functional.cosine_similarity(
            view.features.float(), words.mean(dim=0, keepdim=True), dim=1
        )


def shares(similarity: Tensor, sign: int = -1) -> Tensor:
    """Softmax over the tokens of the signed similarities (..., N)."""
    return (sign * similarity.float()).softmax(dim=-1)


def outlier_share(scores: Tensor) -> float:
    """Share of the scores, pooled, above the third quartile by 1.5 interquartile ranges.

    Raises
    ------
    PlanError
        If scores are NaN.
    """
    values = scores.detach().float().cpu().numpy()
    if np.isnan(values).any():
        raise PlanError("relevances are NaN: TRIM cannot find outliers among them")
    first, third = np.percentile(values, 25), np.percentile(values, 75)
    return float((values > third + 1.5 * (third - first)).sum() / values.size)
