"""What wrappers share: they speak for the policy inside."""

from dataclasses import replace
from typing import Any, cast

from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy, DefaultPruner, Watch
from saccade.controller.protocols import Pruner
from saccade.controller.signals import Signals
from saccade.controller.types import BackboneSpec, StepState


def checked(policy: object, who: str) -> BasePolicy:
    """The policy, or `TypeError` if it is not one."""
    if not isinstance(policy, BasePolicy):
        raise TypeError(f"{who} wraps a policy that is built, not {policy!r}")
    return policy


class Wrapper(BasePolicy):
    """Passes on what the policy inside says of itself; subclasses change its plans.

    Attributes
    ----------
    policy : BasePolicy
    """

    policy: BasePolicy

    @property
    def reads(self) -> frozenset[str]:
        """What the policy inside reads."""
        return self.policy.reads

    @property
    def drops_ahead(self) -> frozenset[Drop] | None:
        """What it announces; None if it does not say."""
        return self.policy.drops_ahead

    @property
    def plan_ahead(self) -> Plan:
        """What else it announces."""
        return self.policy.plan_ahead

    @property
    def reselects(self) -> bool:
        """Whether it may choose again."""
        return self.policy.reselects

    @property
    def rests(self) -> bool:
        """Whether it will plan nothing more in this call."""
        return self.policy.rests

    @property
    def default_pruner(self) -> DefaultPruner | None:
        """The pruner that it would have choose."""
        return self.policy.default_pruner

    def watches(self, state: StepState) -> Watch:
        """Whether it reads the attention of this step, or of which layers."""
        return False if self.rests else self.policy.watches(state)

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> BasePolicy:
        """The same around the policy for a backbone."""
        own = cast(Any, self)  # a dataclass, as all wrappers are
        return cast(BasePolicy, replace(own, policy=self.policy.bind(spec, pruner)))

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """What the policy inside plans."""
        return self.policy.plan(state, signals)

    def reset(self) -> None:
        """Let it forget everything."""
        self.policy.reset()
