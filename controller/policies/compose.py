"""Several policies as one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from saccade.controller import fitting
from saccade.controller.plan import Drop, Plan
from saccade.controller.policies.wrapper import checked
from saccade.controller.protocols import Policy
from saccade.controller.signals import Signals
from saccade.controller.types import BackboneSpec, StepState


@dataclass
class Compose:
    """Carry out the plans of several policies together.

    Of drops, the strictest counts; layers that any of them skips are skipped; a refresh or a new
    selection that any wants is made; the first rule for commits holds.

    Parameters
    ----------
    policies : sequence of Policy

    Raises
    ------
    TypeError
        If one is no policy.
    ValueError
        If there are none.
    """

    policies: Sequence[Policy]

    def __post_init__(self) -> None:
        if not isinstance(self.policies, Iterable):
            raise TypeError(f"Compose takes a sequence of policies, not {self.policies!r}")
        self.policies = tuple(checked(policy, "Compose") for policy in self.policies)
        if not self.policies:
            raise ValueError("policies=(): give one policy or more")

    @property
    def reads(self) -> frozenset[str]:
        """What any of them reads."""
        return frozenset[str]().union(*(policy.reads for policy in self.policies))

    @property
    def drops_ahead(self) -> frozenset[Drop] | None:
        """What any of them announces; None if one does not say."""
        announced = [fitting.announced(policy) for policy in self.policies]
        known = [drops for drops in announced if drops is not None]
        return frozenset[Drop]().union(*known) if len(known) == len(announced) else None

    @property
    def plan_ahead(self) -> Plan:
        """What any of them announces."""
        plans = [fitting.ahead(policy) for policy in self.policies]
        rules = (plan.commit for plan in plans)
        return Plan(
            bypass=frozenset[int]().union(*(plan.bypass for plan in plans)),
            commit=next((rule for rule in rules if rule is not None), None),
        )

    @property
    def reselects(self) -> bool:
        """Whether any may choose again."""
        return any(map(fitting.reselecting, self.policies))

    @property
    def rests(self) -> bool:
        """Whether none will plan anything more in this call."""
        return all(map(fitting.resting, self.policies))

    @property
    def default_pruner(self) -> fitting.DefaultPruner | None:
        """The pruner of the first that names one."""
        named = map(fitting.default_pruner, self.policies)
        return next((name for name in named if name is not None), None)

    def watches(self, state: StepState) -> bool:
        """Whether any reads the attention of this step."""
        return any(fitting.watching(policy, state) for policy in self.policies)

    def fitted(self, spec: BackboneSpec) -> "Compose":
        """All of them, fitted to a backbone."""
        return Compose([fitting.fitted(policy, spec) for policy in self.policies])

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """The union of their plans."""
        plans = [policy.plan(state, signals) for policy in self.policies]
        rules = (plan.commit for plan in plans)
        return Plan(
            strictest(drop for plan in plans for drop in plan.drops),
            frozenset[int]().union(*(plan.bypass for plan in plans)),
            any(plan.refresh for plan in plans),
            next((rule for rule in rules if rule is not None), None),
            any(plan.reselect for plan in plans),
        )

    def reset(self) -> None:
        """Let all of them forget everything."""
        for policy in self.policies:
            policy.reset()


def strictest(drops: Iterable[Drop]) -> tuple[Drop, ...]:
    """Drops that leave before every layer what the strictest of some leaves there."""
    out: list[Drop] = []
    for drop in sorted(drops, key=lambda d: (d.layer, d.keep)):
        if not out or drop.keep < out[-1].keep:
            out.append(drop)
    return tuple(out)
