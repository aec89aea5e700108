"""VisPruner: half of the tokens by the tower's attention, half by being unlike each other."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.protocols import Site
from saccade.controller.views import Selection, VisualView
from saccade.pruners.base import ChoosingPruner, check_finite

AT_ONCE = 8
"""Duplicates that are taken out in one round."""


@dataclass(frozen=True, repr=False)
class VisPruner(ChoosingPruner):
    """Keep the tokens with most attention in the tower, and of the others those without a double.

    Parameters
    ----------
    important : float
        Share of the `n` tokens that are kept by attention, in [0, 1].

    Raises
    ------
    ValueError
        If `important` lies outside [0, 1].

    Notes
    -----
    VisPruner, arXiv 2412.01818. Its tower has a class token, whose attention counts; SigLIP has
    none, so that the attention counts that a patch receives from all patches of its view. A list of
    odd length is split like an even one.
    """

    important: float = 0.5

    source: ClassVar[str] = "VisPruner, arXiv 2412.01818"
    needs: ClassVar[frozenset[str]] = frozenset({"tower:attention", "tower:features"})
    site: ClassVar[Site] = "tower"

    def __post_init__(self) -> None:
        if not 0 <= self.important <= 1:
            raise ValueError(f"important={self.important!r}: must lie in [0, 1]")

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens.

        Raises
        ------
        PlanError
            If attention or features are NaN.
        """
        features = check_finite("the tower's features", view.of("tower:features"), self)
        attention = check_finite("the tower's attention", view.of("tower:attention"), self)
        return Selection(important_and_diverse(features.cpu(), attention.cpu(), n, self.important))


def important_and_diverse(features: Tensor, attention: Tensor, n: int, share: float) -> Tensor:
    """Choose `n` tokens.

    Parameters
    ----------
    features : Tensor (N, D)
        Compared by cosine.
    attention : Tensor (N,)
    n : int
    share : float
        Of the `n` by attention, rounded down.

    Returns
    -------
    Tensor (n,) int64, ascending.
    """
    order = attention.float().sort(descending=True, stable=True).indices
    first = int(n * share)
    important, rest = order[:first], order[first:]
    units = torch.nn.functional.normalize(features.float(), dim=1)
    while len(rest) > n - first:
        if len(rest) == 1:
            return important.sort().values
        even, odd = rest[::2], rest[1::2]
        forward_groups = (units[even] @ units[odd].T).amax(dim=1)
        ranked = forward_groups.sort(descending=True, stable=True).indices
        goes = min(AT_ONCE, len(rest) - (n - first), len(even))
        rest = torch.cat([even[ranked[goes:]], odd])
    return torch.cat([important, rest]).sort().values
