"""Bounds for what a policy drops."""

from dataclasses import dataclass, replace

from saccade.controller.arguments import check_fraction, check_int
from saccade.controller.plan import Drop, Plan
from saccade.controller.policies.wrapper import Wrapper, checked
from saccade.controller.policy import BasePolicy
from saccade.controller.reasons import joined
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(repr=False)
class Clamp(Wrapper):
    """Keep the drops of the policy inside within bounds.

    Parameters
    ----------
    policy : BasePolicy
    least : float
        Lowest keep ratio: drops to less drop to this.
    most : float
        Highest keep ratio of a drop: one that leaves more leaves this. Steps without a drop stay
        without.
    first_layer : int
        First layer before which tokens may go; earlier drops are made there.

    Raises
    ------
    TypeError
        If `policy` is not one.
    ValueError
        If a number is not allowed, or `least` exceeds `most`.
    """

    policy: BasePolicy
    least: float = tunable(0.25, 0.0, 1.0, "keep ratio")
    most: float = tunable(1.0, 0.0, 1.0, "keep ratio")
    first_layer: int = 0

    def __post_init__(self) -> None:
        checked(self.policy, "Clamp")
        self.least, self.most = (
            check_fraction("least", self.least),
            check_fraction("most", self.most),
        )
        self.first_layer = check_int("first_layer", self.first_layer)
        if self.least > self.most:
            raise ValueError(f"least={self.least} exceeds most={self.most}")

    @property
    def drops_ahead(self) -> frozenset[Drop] | None:
        """What the policy inside announces, within bounds; None if it does not say."""
        drops = super().drops_ahead
        return None if drops is None else frozenset(map(self._bounded, drops))

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Its plan, within bounds."""
        plan = self.policy.plan(state, signals)
        bounded: dict[int, Drop] = {}
        for drop in map(self._bounded, plan.drops):
            bounded[drop.layer] = drop  # of those that meet before one layer, the last keeps least
        drops = tuple(bounded.values())
        limits = f"clamped to keep {self.least:g} to {self.most:g}"
        if self.first_layer:
            limits += f", not before layer {self.first_layer}"
        reason = plan.reason if drops == plan.drops else joined(plan.reason, limits)
        return replace(plan, drops=drops, reason=reason)

    def _bounded(self, drop: Drop) -> Drop:
        keep = min(max(drop.keep, self.least), self.most)
        return Drop(max(drop.layer, self.first_layer), keep)
