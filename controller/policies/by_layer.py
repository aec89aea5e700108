"""Fixed schedules: drop in stages, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from saccade.controller.arguments import check_fraction, check_int, check_sequence
from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class ByLayer(BasePolicy):
    """Reduce the visual tokens in stages inside every step once `share` of the steps is done.

    Parameters
    ----------
    layers : sequence of int
        Layers before which tokens go, ascending.
    keeps : sequence of float
        Share of all visual tokens that is left from each on, not rising.
    share : float
        As in `AfterShare`.

    Raises
    ------
    ValueError
        If a number is not allowed, or not as many keeps as layers are given.
    PlanError
        If layers do not ascend or keeps rise.

    Notes
    -----
    PyramidDrop (arXiv 2410.17247): a quarter, half and three quarters of the layers, with half, a
    quarter and an eighth of the tokens. SparseVLM (arXiv 2410.04417): three layers.
    """

    layers: Sequence[int]
    keeps: Sequence[float]
    share: float = 0.0
    _drops: tuple[Drop, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = tuple(
            check_int("a layer", layer) for layer in check_sequence("layers", self.layers)
        )
        shares = tuple(
            check_fraction("a keep", keep) for keep in check_sequence("keeps", self.keeps)
        )
        self.layers, self.keeps = places, shares
        self.share = check_fraction("share", self.share)
        if not places or len(places) != len(shares):
            raise ValueError(
                f"layers={self.layers}, keeps={self.keeps}: give one keep for each layer"
            )
        pairs = zip(places, shares, strict=True)
        self._drops = tuple(Drop(layer, keep) for layer, keep in pairs)
        Plan(self._drops)

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """All stages, if there will be any."""
        return frozenset(self._drops if self.share < 1 else ())

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Drop if the share is done."""
        if state.step < self.share * state.n_steps - 1e-9:
            return Plan()
        return Plan(self._drops)
