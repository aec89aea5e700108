"""Refresh a cached prompt that has grown old."""

from dataclasses import dataclass, replace

from saccade.controller.arguments import check_int
from saccade.controller.plan import Plan
from saccade.controller.policies.wrapper import Wrapper, checked
from saccade.controller.policy import BasePolicy
from saccade.controller.reasons import joined
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(repr=False)
class WithRefresh(Wrapper):
    """Have the prompt computed again once its cache has served so many steps.

    Where every step computes the prompt, this changes nothing.

    Parameters
    ----------
    policy : BasePolicy
    after : int
        Steps that a cache may serve.

    Raises
    ------
    TypeError
        If `policy` is not one.
    ValueError
        If `after` is not a whole number from 1.
    """

    policy: BasePolicy
    after: int = tunable(8, 1, 64, "steps", log=True)

    def __post_init__(self) -> None:
        checked(self.policy, "WithRefresh")
        self.after = check_int("after", self.after, least=1)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Its plan, with a refresh when one is due."""
        plan = self.policy.plan(state, signals)
        if state.cache_age < self.after:
            return plan
        due = f"a cache of {state.cache_age} steps >= {self.after}: refresh"
        return replace(plan, refresh=True, reason=joined(plan.reason, due))
