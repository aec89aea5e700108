"""The policy of a counterfactual: one plan, in every step of what is left."""

from dataclasses import dataclass

from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class Holding(BasePolicy):
    """Hold to one plan.

    Parameters
    ----------
    held : Plan
    ahead : frozenset of Drop
        What it says that it may drop: with an empty plan, the pruner that could do so is shown
        every step, so that another call can go on from any of them.
    """

    held: Plan
    ahead: frozenset[Drop]

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """As given."""
        return self.ahead

    @property
    def plan_ahead(self) -> Plan:
        """The plan, but for its drops."""
        return Plan(bypass=self.held.bypass, commit=self.held.commit)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """The plan."""
        return self.held
