"""What fixed schedules with one drop share: when it is due, they drop, and stay with it."""

from abc import ABC, abstractmethod

from saccade.controller.plan import Drop, Plan
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


class Reducing(ABC):
    """Drops to `keep` before `layer` from the step on in which it is due.

    Attributes
    ----------
    keep : float
    layer : int
    hold : bool
        As in `AfterShare`.
    """

    keep: float
    layer: int
    hold: bool
    _dropped: bool

    @abstractmethod
    def due(self, state: StepState) -> bool:
        """Whether enough steps have run in full."""

    @property
    def reads(self) -> frozenset[str]:
        """Fixed schedules read no signals."""
        return frozenset()

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """The first drop; later ones use its choice again."""
        return frozenset({Drop(self.layer, self.keep)})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Drop if it is due."""
        if not self.due(state):
            return Plan()
        layer = 0 if self._dropped and self.hold else self.layer
        self._dropped = True
        return Plan(drops=(Drop(layer, self.keep),))

    def reset(self) -> None:
        """Forget that anything was dropped."""
        self._dropped = False
