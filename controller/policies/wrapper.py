"""What wrappers share: they speak for the policy inside."""

from dataclasses import replace
from typing import Any, cast

from saccade.controller import fitting
from saccade.controller.plan import Drop, Plan
from saccade.controller.protocols import Policy
from saccade.controller.signals import Signals
from saccade.controller.types import BackboneSpec, StepState


def checked(policy: object, who: str) -> Policy:
    """The policy, or `TypeError` if it is none."""
    if isinstance(policy, type) or not isinstance(policy, Policy):
        raise TypeError(f"{who} wraps a policy that is built, not {policy!r}")
    return policy


class Wrapper:
    """Passes on what the policy inside says of itself; subclasses change its plans.

    Attributes
    ----------
    policy : Policy
    """

    policy: Policy

    @property
    def reads(self) -> frozenset[str]:
        """What the policy inside reads."""
        return self.policy.reads

    @property
    def drops_ahead(self) -> frozenset[Drop] | None:
        """What it announces; None if it does not say."""
        return fitting.announced(self.policy)

    @property
    def plan_ahead(self) -> Plan:
        """What else it announces."""
        return fitting.ahead(self.policy)

    @property
    def reselects(self) -> bool:
        """Whether it may choose again."""
        return fitting.reselecting(self.policy)

    @property
    def rests(self) -> bool:
        """Whether it will plan nothing more in this call."""
        return fitting.resting(self.policy)

    @property
    def default_pruner(self) -> fitting.DefaultPruner | None:
        """The pruner that it would have choose."""
        return fitting.default_pruner(self.policy)

    def watches(self, state: StepState) -> bool:
        """Whether it reads the attention of this step."""
        return fitting.watching(self.policy, state)

    def fitted(self, spec: BackboneSpec) -> Policy:
        """The same around the policy for a backbone."""
        own = cast(Any, self)  # a dataclass, as all wrappers are
        return cast(Policy, replace(own, policy=fitting.fitted(self.policy, spec)))

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """What the policy inside plans."""
        return self.policy.plan(state, signals)

    def reset(self) -> None:
        """Let it forget everything."""
        self.policy.reset()
