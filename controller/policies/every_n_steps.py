"""Ask a policy now and then, and keep to its plan meanwhile."""

from dataclasses import dataclass, field, replace

from saccade.controller.arguments import check_int
from saccade.controller.plan import Plan
from saccade.controller.policies.wrapper import Wrapper, checked
from saccade.controller.policy import BasePolicy, Watch
from saccade.controller.reasons import joined
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(repr=False)
class EveryNSteps(Wrapper):
    """Ask the policy inside every `n` steps; in between its last plan holds.

    Refreshes and new selections are carried out once, not in each step that a plan holds for. Only
    the step before it is asked is measured.

    Parameters
    ----------
    policy : BasePolicy
    n : int

    Raises
    ------
    TypeError
        If `policy` is not one.
    ValueError
        If `n` is not a whole number from 1.
    """

    policy: BasePolicy
    n: int = tunable(2, 1, 16, "steps", log=True)
    _last: Plan = field(default_factory=Plan, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checked(self.policy, "EveryNSteps")
        self.n = check_int("n", self.n, least=1)

    def watches(self, state: StepState) -> Watch:
        """In the step before the policy is asked, if it reads that one."""
        return super().watches(state) if (state.step + 1) % self.n == 0 else False

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """A new plan every `n` steps."""
        if state.step % self.n:
            held = f"held since step {state.step - state.step % self.n}"
            reason = joined(self._last.reason, held)
            return replace(self._last, refresh=False, reselect=False, reason=reason)
        self._last = self.policy.plan(state, signals)
        return self._last

    def reset(self) -> None:
        """Forget the last plan."""
        self._last = Plan()
        self.policy.reset()
