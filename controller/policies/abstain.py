"""Leave short answers alone."""

from dataclasses import dataclass, field

from saccade.controller.arguments import check_int
from saccade.controller.plan import Plan
from saccade.controller.policies.wrapper import Wrapper, checked
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(repr=False)
class Abstain(Wrapper):
    """Do nothing in calls of too few steps: what is dropped there could not be brought back.

    Whether a call is too short is decided by the steps that its settings ask for, in its first
    step, and holds for all of it. Nothing is measured then either, so that the call costs what it
    costs without a controller.

    Parameters
    ----------
    policy : BasePolicy
        What plans the longer calls.
    steps : int
        Least number of steps in which it may.

    Raises
    ------
    TypeError
        If `policy` is not one.
    ValueError
        If `steps` is not a whole number from 1.

    Notes
    -----
    arXiv 2511.15098 finds nothing to gain on short answers. The rule is ours.
    """

    policy: BasePolicy
    steps: int = tunable(6, 1, 32, "steps", log=True)
    _abstains: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checked(self.policy, "Abstain")
        self.steps = check_int("steps", self.steps, least=1)

    @property
    def rests(self) -> bool:
        """Throughout a call that is too short."""
        return self._abstains or super().rests

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Nothing if the call is too short, else what the policy inside plans."""
        if state.step == 0:
            self._abstains = state.n_steps < self.steps
        if self._abstains:
            return Plan().because(f"abstained: {state.n_steps} steps < {self.steps}")
        return self.policy.plan(state, signals)

    def reset(self) -> None:
        """Forget the call."""
        self._abstains = False
        self.policy.reset()
