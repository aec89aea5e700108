"""Fixed schedules: drop in stages, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from saccade.controller.arguments import check_fraction, check_int, numbers
from saccade.controller.plan import Drop, Plan
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(slots=True)
class ByLayer:
    """Reduce the visual tokens in stages inside every step once `share` of the steps is done.

    Parameters
    ----------
    layers : sequence of int, or str
        Layers before which tokens go, ascending; as text ``1/2/4``.
    keeps : sequence of float, or str
        Share of all visual tokens that is left from each on, not rising; as text ``0.5/0.25/0.1``.
    share : float
        As in `AfterShare`.

    Raises
    ------
    ValueError
        If the numbers are none that are allowed, or not as many keeps as layers are given.
    PlanError
        If layers do not ascend or keeps rise.

    Notes
    -----
    PyramidDrop (arXiv 2410.17247): a quarter, half and three quarters of the layers, with half, a
    quarter and an eighth of the tokens. SparseVLM (arXiv 2410.04417): three layers.
    """

    layers: Sequence[int] | str
    keeps: Sequence[float] | str
    share: float = 0.0
    _drops: tuple[Drop, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layers = numbers("layers", self.layers, int)
        keeps = numbers("keeps", self.keeps, float)
        places = tuple(check_int("a layer", layer) for layer in layers)
        shares = tuple(check_fraction("a keep", keep) for keep in keeps)
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
    def reads(self) -> frozenset[str]:
        """Fixed schedules read no signals."""
        return frozenset()

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """All stages, if there will be any."""
        return frozenset(self._drops if self.share < 1 else ())

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Drop if the share is done."""
        if state.step < self.share * state.n_steps - 1e-9:
            return Plan()
        return Plan(self._drops)

    def reset(self) -> None:
        """Nothing to forget."""
