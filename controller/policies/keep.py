"""The identity: every step as the model would do it."""

from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.plan import Drop, Plan
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(frozen=True, slots=True)
class Keep:
    """Do nothing. Tokens and logits are those of the model without a controller, bit for bit."""

    reads: ClassVar[frozenset[str]] = frozenset()

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """None, ever."""
        return frozenset()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Return the empty plan."""
        return Plan()

    def reset(self) -> None:
        """Nothing to forget."""
