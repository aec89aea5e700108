"""LLaDA-FastV: FastV in the middle to late layers of the first step."""

from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.errors import PlanError
from saccade.controller.views import Selection, VisualView
from saccade.pruners.fastv import FastV


@dataclass(frozen=True, repr=False)
class LLaDAFastV(FastV):
    """FastV for from-scratch models: choose in the first step, behind the middle of the layers.

    The choice holds for all later steps, from their first layer on: the policy
    ``after_share(share=0, ...)`` with a layer in the second half.

    Notes
    -----
    LLaDA-FastV, arXiv 2601.20168. The paper says when and where to choose; which rows count is an
    option of `FastV`, with its default.
    """

    source: ClassVar[str] = "LLaDA-FastV, arXiv 2601.20168"

    def default_layer(self, n_layers: int) -> int:
        """Behind the middle: three quarters of the layers."""
        return min(max(1, round(0.75 * n_layers)), n_layers - 1)

    def select(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens.

        Raises
        ------
        PlanError
            If this is not the first step, as well as for what `FastV` raises.
        """
        if view.step > 0:
            raise PlanError(
                f"{self!r} chooses in the first step, not in step {view.step}; use the policy "
                "after_share(0, ...) with a layer behind the middle, or fastv"
            )
        return super().select(view, n)
