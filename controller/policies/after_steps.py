"""Fixed schedules: drop after a number of steps."""

from dataclasses import dataclass, field

from saccade.controller.arguments import check_bool, check_fraction, check_int
from saccade.controller.policies.reducing import Reducing
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class AfterSteps(Reducing):
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
        If `steps` or `layer` is not a whole number from 0, `keep` not a number in [0, 1], or `hold`
        neither True nor False.
    """

    steps: int
    keep: float
    layer: int | None = None
    hold: bool = True
    _dropped: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.steps, self.keep = check_int("steps", self.steps), check_fraction("keep", self.keep)
        self.layer = None if self.layer is None else check_int("layer", self.layer)
        self.hold = check_bool("hold", self.hold)

    def _due(self, state: StepState) -> bool:
        """Whether the steps are done."""
        return state.step >= self.steps
