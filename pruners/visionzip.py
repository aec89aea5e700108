"""VisionZip: keep the patches the tower looks at, and fold the others into a few."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.protocols import Site
from saccade.controller.types import round_keep
from saccade.controller.views import Merge, Selection, VisualView
from saccade.pruners.base import ChoosingPruner, check_finite, others, top_indices

CONTEXTUAL = 10 / 64
"""Share of the tokens that are contextual in the published settings (10 of 64, 20 of 128)."""


@dataclass(frozen=True, repr=False)
class VisionZip(ChoosingPruner):
    """Keep the tokens that get most attention in the vision tower, and merge the others into some.

    Of the others, evenly spaced ones are targets; every other one is folded into the target with
    the most similar key, and a target becomes itself plus the mean of what was folded into it.

    Parameters
    ----------
    contextual : float
        Share of the `n` tokens that are targets, in [0, 1].

    Raises
    ------
    ValueError
        If `contextual` lies outside [0, 1].

    Notes
    -----
    VisionZip, arXiv 2412.04467. Its tower has a class token, whose attention counts; SigLIP has
    none, so that the attention counts that a patch receives from all patches of its view. Differs
    in that targets stand at their own places, instead of behind all others.
    """

    contextual: float = CONTEXTUAL

    source: ClassVar[str] = "VisionZip, arXiv 2412.04467"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"centers", "tower:attention", "tower:features", "tower:keys"}
    )
    site: ClassVar[Site] = "tower"
    merges: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.contextual <= 1:
            raise ValueError(f"contextual={self.contextual!r}: must lie in [0, 1]")

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens.

        Raises
        ------
        PlanError
            If attention or keys are NaN.
        """
        keys = check_finite("the tower's keys", view.of("tower:keys"), self).cpu()
        targets = round_keep(self.contextual, n)
        keep = top_indices(view.of("tower:attention"), n - targets)
        rest = others(keep, len(view))
        if not targets:
            return Selection(keep)
        picked, assigned = contextual_targets(keys[rest], targets)
        own = rest[picked]
        weight = fold_weights(assigned, targets)
        merge = Merge(
            torch.cat([own, own[assigned]]),
            torch.cat([own, rest[others(picked, len(rest))]]),
            torch.cat([torch.ones(targets), weight]),
            "tower",
        )
        return Selection(torch.cat([keep, own]).sort().values, merge)


def contextual_targets(keys: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Evenly spaced targets among M tokens, and the target of each other one.

    Parameters
    ----------
    keys : Tensor (M, d)
    n : int
        1 to M.

    Returns
    -------
    targets : Tensor (n,) int64
        Every ``max(1, M // n)``-th token.
    assigned : Tensor (M - n,) int64
        For the others in their order, the number of the target with the most similar key.
    """
    targets = torch.arange(0, len(keys), max(1, len(keys) // n))[:n]
    units = torch.nn.functional.normalize(keys.float(), dim=1)
    return targets, (units[others(targets, len(keys))] @ units[targets].T).argmax(dim=1)


def fold_weights(assigned: Tensor, n: int) -> Tensor:
    """One over how many tokens go to the same target."""
    return 1.0 / torch.bincount(assigned, minlength=n)[assigned].float()
