"""RedVTP: keep what the masked rows of the answer attended to in the step before."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.names import not_allowed
from saccade.controller.views import VisualView
from saccade.pruners.base import ScorePruner


@dataclass(frozen=True, repr=False)
class RedVTP(ScorePruner):
    """Keep the visual tokens that rows of the answer, masked still, attended to in the step before.

    Published with one full step and the same choice in all later ones: the policy
    ``after_steps(1, ...)``. Where no row is masked, all that were forwarded count.

    Parameters
    ----------
    rows : "masked" or "all"
        Rows whose attention counts. "all" is not published: rows that are committed read the
        picture too, and what they read helps others find their place.

    Raises
    ------
    ValueError
        For other rows.

    Notes
    -----
    RedVTP, arXiv 2511.12428. Attention is the mean over rows, heads and layers.
    """

    source: ClassVar[str] = "RedVTP, arXiv 2511.12428"
    needs = frozenset({"masked", "rows:before"})
    site = "entry"
    rows: Literal["masked", "all"] = "masked"

    def __post_init__(self) -> None:
        if self.rows not in ("masked", "all"):
            raise ValueError(not_allowed("rows", self.rows, ("masked", "all")))

    def score(self, view: VisualView) -> Tensor:
        """Attention (N,) that each token received; higher is kept.

        Raises
        ------
        PlanError
            Before the first step, which nothing precedes.
        """
        rows = view.of("rows:before")
        there = ~rows.isnan().any(dim=1)
        if not bool(there.any()):
            raise PlanError(
                f"{self!r} reads the attention of the step before, and there is none before the "
                "first; let the policy drop after one step (after_steps(1, ...))"
            )
        masked = there & view.of("masked").to(there.device)
        some = self.rows == "masked" and bool(masked.any())
        chosen = rows[masked if some else there]
        return torch.as_tensor(chosen.mean(dim=0))
