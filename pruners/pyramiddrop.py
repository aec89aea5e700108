"""PyramidDrop: drop in stages, by what the last word of the question attends to."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from saccade.controller.views import VisualView
from saccade.pruners.base import ScorePruner


@dataclass(frozen=True, repr=False)
class PyramidDrop(ScorePruner):
    """Keep the visual tokens that the prompt's last row attends to most in the layer to come.

    Its stages are the policy's: ``by_layer``, in the published settings at a quarter, half and
    three quarters of the layers with half, a quarter and an eighth of the tokens.

    Notes
    -----
    PyramidDrop, arXiv 2410.17247. Queries and keys of that layer are computed once more, from the
    rows that enter it; the heads' weights are averaged. The row that asks is the prompt's last,
    although a dMLLM's sequence ends in its answer.
    """

    source: ClassVar[str] = "PyramidDrop, arXiv 2410.17247"
    needs = frozenset({"attention:instruction:own"})
    site = "layer"

    def default_layer(self, n_layers: int) -> int:
        """Its first stage: a quarter of the layers."""
        return round(n_layers / 4)

    def score(self, view: VisualView) -> Tensor:
        """Attention (N,) that each token will receive; higher is kept."""
        return view.of("attention:instruction:own")
