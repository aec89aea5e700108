"""DART: keep a few pivots, and the tokens least like each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.arguments import check_int
from saccade.controller.protocols import Site
from saccade.controller.views import Selection, VisualView
from saccade.pruners.base import ChoosingPruner, check_finite


@dataclass(frozen=True, repr=False)
class DART(ChoosingPruner):
    """Keep the tokens that duplicate a pivot least.

    Pivots are the visual tokens and the words after the picture with the largest keys (L1 norm).
    For each in turn, the tokens whose states are least like its own are added; visual pivots stay
    too.

    Parameters
    ----------
    visual_pivots, text_pivots : int

    Raises
    ------
    ValueError
        If one is not a whole number from 0.

    Notes
    -----
    DART, arXiv 2502.11494. The states that are compared are those that enter the layer, after the
    model's final norm, and pivots are taken in their order. Differs in that tokens that do not
    divide evenly among the pivots go to the first ones, so that the count is exact.
    """

    visual_pivots: int = 4
    text_pivots: int = 4

    source: ClassVar[str] = "DART, arXiv 2502.11494"
    needs: ClassVar[frozenset[str]] = frozenset({"keys", "keys:text", "normed", "normed:text"})
    site: ClassVar[Site] = "layer"

    def __post_init__(self) -> None:
        check_int("visual_pivots", self.visual_pivots, least=1)
        check_int("text_pivots", self.text_pivots)

    def default_layer(self, n_layers: int) -> int:
        """The paper's: before the third layer."""
        return min(2, n_layers - 1)

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens.

        Raises
        ------
        PlanError
            If keys or states are NaN.
        """
        keys, words = (check_finite("keys", view.of(k), self) for k in ("keys", "keys:text"))
        states, said = (check_finite("states", view.of(k), self) for k in ("normed", "normed:text"))
        pivots = largest(keys, min(self.visual_pivots, n))
        spoken = largest(words, min(self.text_pivots, len(words)))
        share, more = divmod(n - len(pivots), len(pivots) + len(spoken))
        counts = [share + (i < more) for i in range(len(pivots) + len(spoken))]
        chosen = unlike(states, torch.cat([states[pivots], said[spoken]]), pivots, counts)
        return Selection(chosen.cpu())


def largest(keys: Tensor, n: int) -> Tensor:
    """The `n` keys (N, D) of the largest L1 norm, ascending."""
    norms = keys.float().abs().sum(dim=1)
    return norms.sort(descending=True, stable=True).indices[:n].sort().values


def unlike(states: Tensor, pivots: Tensor, kept: Tensor, counts: Sequence[int]) -> Tensor:
    """Add to the kept tokens, pivot by pivot, those least like it.

    Parameters
    ----------
    states : Tensor (N, D)
    pivots : Tensor (P, D)
    kept : Tensor (k,) int64
        Tokens that stay anyhow.
    counts : sequence of int
        How many each pivot adds.

    Returns
    -------
    Tensor (k + sum(counts),) int64, ascending.
    """
    units = torch.nn.functional.normalize(states.float(), dim=1)
    taken = torch.zeros(len(states), dtype=torch.bool, device=states.device)
    taken[kept] = True
    for pivot, count in zip(
        torch.nn.functional.normalize(pivots.float(), dim=1), counts, strict=True
    ):
        cosines = (units @ pivot).masked_fill(taken, torch.inf)
        taken[cosines.sort(stable=True).indices[:count]] = True
    return taken.nonzero()[:, 0]
