"""Fixed schedules: drop after a number of steps."""

from dataclasses import dataclass, field

from saccade.controller.arguments import share, switch, whole
from saccade.controller.plan import Drop, Plan
from saccade.controller.types import Signals, StepState


@dataclass(slots=True)
class AfterSteps:
    """Reduce the visual tokens after so many full steps, for the rest of the call.

    Parameters
    ----------
    steps : int
        Full steps, however many there are in all; 1 for RedVTP.
    keep, layer, hold
        As in `AfterShare`.

    Raises
    ------
    ValueError
        If `steps` or `layer` is no whole number from 0, `keep` no number in [0, 1], or `hold`
        neither True nor False.
    """

    steps: int
    keep: float
    layer: int = 0
    hold: bool = True
    _dropped: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.steps, self.keep = whole("steps", self.steps), share("keep", self.keep)
        self.layer, self.hold = whole("layer", self.layer), switch("hold", self.hold)

    @property
    def reads(self) -> frozenset[str]:
        """Fixed schedules read no signals."""
        return frozenset()

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """The first drop; later ones use its choice again."""
        return frozenset({Drop(self.layer, self.keep)})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Drop if the steps are done."""
        if state.step < self.steps:
            return Plan()
        layer = 0 if self._dropped and self.hold else self.layer
        self._dropped = True
        return Plan(drops=(Drop(layer, self.keep),))

    def reset(self) -> None:
        """Forget that anything was dropped."""
        self._dropped = False
