"""Layers in which the answer hardly attends to the picture: visual tokens skip them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.arguments import check_bool, check_fraction, check_int, check_sequence
from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class LayerSkip(BasePolicy):
    """Let visual tokens skip layers that are measured, or known, to need them little.

    Measured: the first step of each input runs in full, and shows how much the masked rows attend
    to the picture in every layer. From the second on, visual tokens skip layers that attend little
    compared with the layer that attends most, the spike. Known: `layers` that a calibration found
    (``saccade calibrate layer-skip``) are skipped from the first step on, in the prompt's own pass
    too where that is cached; nothing is measured then.

    Parameters
    ----------
    threshold : float
        Attention to the picture below which a layer is skipped, relative to the spike's.
    margin : int
        Layers on both sides of the spike that are never skipped.
    early : bool
        Whether layers before the spike may be skipped. They make of the visual tokens what the
        spike reads, and the answer's attention says nothing about that.
    again : int
        Steps after which a full step measures anew, for which a cached prompt is computed again; 0
        for never.
    layers : sequence of int, optional
        Known ones.

    Raises
    ------
    ValueError
        If a number is not allowed.

    Notes
    -----
    arXiv 2511.15098, section 4: AR-to-diffusion models tolerate that visual tokens skip layers
    with little attention to them. The rule is ours.
    """

    drops_ahead: ClassVar[frozenset[Drop]] = frozenset()

    threshold: float = tunable(0.6, 0.05, 0.95, "share of the spike's attention mass")
    margin: int = tunable(0, 0, 4, "layers")
    early: bool = False
    again: int = tunable(0, 0, 32, "steps")
    layers: Sequence[int] | None = None
    _measured: int | None = field(default=None, init=False, repr=False, compare=False)
    _pending: bool = field(default=False, init=False, repr=False, compare=False)
    _skips: frozenset[int] = field(default=frozenset(), init=False, repr=False, compare=False)
    _reason: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.threshold = check_fraction("threshold", self.threshold)
        self.margin, self.again = check_int("margin", self.margin), check_int("again", self.again)
        self.early = check_bool("early", self.early)
        if self.layers is not None:
            given = check_sequence("layers", self.layers)
            self.layers = tuple(check_int("a layer", layer) for layer in given)

    @property
    def reads(self) -> frozenset[str]:
        """Attention, unless the layers are known."""
        return frozenset() if self.layers is not None else frozenset({"received"})

    @property
    def plan_ahead(self) -> Plan:
        """Layers that are skipped, where they are known; else that one may be."""
        return Plan(bypass=frozenset({0} if self.layers is None else self.layers))

    def watches(self, state: StepState) -> bool:
        """Only full steps are measured, until one is."""
        return self.layers is None and self._pending

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Skip what is known, or was found in the last full step; or take a full step."""
        if self.layers is not None:
            known = Plan(bypass=frozenset(self.layers))
            return known.because(f"layers {_listed(self.layers)}: known to be skipped")
        if self._measured is None or (self.again and state.step - self._measured >= self.again):
            self._measured, self._pending = state.step, True
            return Plan().because("attention to the picture is measured in all layers")
        if self._pending and signals is not None and signals.attention_visual_masked is not None:
            masses = signals.attention_visual_masked
            self._skips = skipped_layers(masses, self.threshold, self.margin, self.early)
            self._pending = False
            self._reason = _why(masses, self._skips, self.threshold)
        if self._pending:
            return Plan().because("attention to the picture is not known yet")
        return Plan(bypass=self._skips).because(self._reason)

    def reset(self) -> None:
        """Forget what was measured."""
        self._measured, self._pending, self._skips = None, False, frozenset()
        self._reason = ""


def _listed(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers)) or "none"


def _why(masses: Tensor, skips: frozenset[int], threshold: float) -> str:
    """Which layers attend how little to the picture, compared with the spike."""
    known = {i: value for i, value in enumerate(masses.tolist()) if value == value}  # not NaN
    if not known:
        return "no masked position shows what layers attend to"
    spike = max(known, key=lambda layer: known[layer])
    limit = f"{threshold:g} of layer {spike}'s {known[spike]:.2f}"
    if not skips:
        return f"no layer that may be skipped attends to the picture less than {limit}"
    own = ", ".join(f"layer {layer}: {known[layer]:.2f}" for layer in sorted(skips))
    return f"attention to the picture < {limit}: {own}"


def skipped_layers(
    masses: Tensor | None, threshold: float, margin: int = 0, early: bool = False
) -> frozenset[int]:
    """Layers whose attention to the picture is small compared with the spike's.

    Parameters
    ----------
    masses : Tensor (n_layers,) or None
        Answer-to-picture attention mass, in [0, 1]; layers with NaN were not measured, and are not
        skipped.
    threshold, margin, early
        As in `LayerSkip`.
    """
    if masses is None or bool(masses.isnan().all()):
        return frozenset()
    known = masses.nan_to_num(float("inf"))
    spike = int(masses.nan_to_num(-1.0).argmax())
    low = torch.nonzero(known < threshold * masses[spike])[:, 0].tolist()
    return frozenset(
        layer for layer in low if abs(layer - spike) > margin and (early or layer > spike)
    )
