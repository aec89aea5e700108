"""What policies may say of themselves beyond the protocol, with what holds where they do not."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from saccade.controller.plan import Drop, Plan
from saccade.controller.protocols import Policy
from saccade.controller.types import BackboneSpec, StepState

DefaultPruner = tuple[str, Mapping[str, object]]
"""A pruner by its registered name and options."""


@runtime_checkable
class Binding(Protocol):
    """A policy that depends on the backbone it works on."""

    def fitted(self, spec: BackboneSpec) -> Policy:
        """The policy for a backbone."""
        ...


def fitted(policy: Policy, spec: BackboneSpec) -> Policy:
    """The policy for a backbone: itself, unless it depends on that."""
    return policy.fitted(spec) if isinstance(policy, Binding) else policy


def announced(policy: Policy) -> frozenset[Drop] | None:
    """Drops for which it may ask the pruner; None if it does not say."""
    drops = getattr(policy, "drops_ahead", None)
    return None if drops is None else frozenset(drops)


def ahead(policy: Policy) -> Plan:
    """What it may plan besides drops, all at once; a plan that does nothing if it does not say."""
    plan = getattr(policy, "plan_ahead", None)
    return plan if isinstance(plan, Plan) else Plan()


def reselecting(policy: Policy) -> bool:
    """Whether it may ask the pruner again in the same call."""
    return bool(getattr(policy, "reselects", False))


def resting(policy: Policy) -> bool:
    """Whether it will plan nothing more in this call."""
    return bool(getattr(policy, "rests", False))


def watching(policy: Policy, state: StepState) -> bool:
    """Whether it will read the attention of the step that `state` begins."""
    asked = getattr(policy, "watches", None)
    reads = bool(policy.reads & {"attention", "received"})
    return not resting(policy) and (reads if asked is None else bool(asked(state)))


def default_pruner(policy: Policy) -> DefaultPruner | None:
    """The pruner that chooses for it where none is given; None if it has no wish."""
    wish: DefaultPruner | None = getattr(policy, "default_pruner", None)
    return wish
