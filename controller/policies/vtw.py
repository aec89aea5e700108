"""VTW: from some layer on, no visual token at all."""

from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.policies.after_share import AfterShare
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.types import BackboneSpec


@dataclass(slots=True, init=False, repr=False)
class VTW(AfterShare):
    """Withdraw all visual tokens before a layer, once `share` of the steps is done. No pruner.

    Parameters
    ----------
    layer : int
        First layer without any. ``saccade calibrate vtw`` finds it for a model.
    share : float
        As in `AfterShare`.
    hold : bool
        False, as published: every step reads the picture in the layers before. True, as adapted to
        dMLLMs in arXiv 2511.15098: after the first such step, no layer does.
    early : int
        As in `AfterShare`.

    Notes
    -----
    VTW, arXiv 2405.05803: layer 15 of 32 or so, found by the divergence of the prediction. The
    adaptation withdraws between the attention and the MLP of its layer 15, which is about layer 16
    here.
    """

    source: ClassVar[str] = "VTW, arXiv 2405.05803"

    def __init__(self, layer: int, share: float = 0.0, hold: bool = False, early: int = 0) -> None:
        AfterShare.__init__(self, share, 0.0, layer, hold, early)

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> BasePolicy:
        """Itself: it says its layer."""
        return self
