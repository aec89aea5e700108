"""The identity: every step as the model would do it."""

from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(frozen=True, slots=True, repr=False)
class Keep(BasePolicy):
    """Do nothing. Tokens and logits are those of the model without a controller, bit for bit."""

    drops_ahead: ClassVar[frozenset[Drop]] = frozenset()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Return the empty plan."""
        return Plan()
