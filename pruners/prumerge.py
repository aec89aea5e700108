"""PruMerge: keep the patches the tower looks at, and add to each the ones most like it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.protocols import Site
from saccade.controller.views import Merge, Selection, VisualView
from saccade.pruners.base import ChoosingPruner, check_finite, last_dropped, others, top_indices
from saccade.pruners.trim import outlier_share

NEIGHBOURS = 32
"""How many similar tokens are added to each that stays, in the published settings."""


@dataclass(frozen=True, repr=False)
class PruMerge(ChoosingPruner):
    """Keep the tokens with most attention in the tower; add the most similar ones to each.

    Every token that stays gets its 32 most similar others, weighted by their attention, and one
    more token is the weighted sum of all that are dropped; it stands at the place of the last of
    them and counts among the `n`.

    Parameters
    ----------
    adaptive : bool
        Keep only outliers of the attention, above the third quartile by 1.5 interquartile ranges,
        but never more than `n`.

    Notes
    -----
    LLaVA-PruMerge, arXiv 2403.15388. Attention is that of one head over the full width. Its tower
    has a class token, whose attention counts; SigLIP has none, so that the attention counts that a
    patch receives from all patches of its view. Weights are not normalised, as published; the sum
    of what is dropped stands at the place of the last one dropped.
    """

    adaptive: bool = False

    source: ClassVar[str] = "LLaVA-PruMerge, arXiv 2403.15388"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"centers", "tower:attention:full", "tower:features", "tower:keys:full"}
    )
    site: ClassVar[Site] = "tower"
    merges: ClassVar[bool] = True

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens, or fewer if adaptive.

        Raises
        ------
        PlanError
            If attention or keys are NaN.
        """
        total = len(view)
        attention = view.of("tower:attention:full").float().cpu()
        keys = check_finite("the tower's keys", view.of("tower:keys:full"), self).cpu()
        if self.adaptive:
            n = min(n, int(total * outlier_share(attention)) + 1)
        top = top_indices(attention, n - 1)
        extra = last_dropped(top, view.centers)
        into, source, weight = neighbour_sums(keys, attention, top)
        dropped = others(top, total)
        merge = Merge(
            torch.cat([into, extra.expand(len(dropped))]),
            torch.cat([source, dropped]),
            torch.cat([weight, attention[dropped]]),
            "tower",
        )
        return Selection(torch.cat([top, extra]).sort().values, merge)


def neighbour_sums(keys: Tensor, attention: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the sums that kept tokens become: themselves, and their nearest by attention.

    Parameters
    ----------
    keys : Tensor (N, C)
        Compared by cosine.
    attention : Tensor (N,)
    kept : Tensor (k,) int64

    Returns
    -------
    into, source, weight : Tensor (k (1 + m),)
        As in `Merge`, with ``m = min(NEIGHBOURS, N - 1)``.
    """
    units = torch.nn.functional.normalize(keys.float(), dim=1)
    cosines = units[kept] @ units.T
    cosines.scatter_(1, kept[:, None], -torch.inf)
    near = cosines.topk(min(NEIGHBOURS, len(keys) - 1), dim=1).indices
    own = torch.ones(len(kept))
    into = torch.cat([kept, kept[:, None].expand_as(near).flatten()])
    return into, torch.cat([kept, near.flatten()]), torch.cat([own, attention[near.flatten()]])
