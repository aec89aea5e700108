"""Several policies as one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from saccade.controller.plan import CommitRule, Drop, Plan
from saccade.controller.policies.wrapper import checked
from saccade.controller.policy import BasePolicy, DefaultPruner, Watch
from saccade.controller.protocols import Pruner
from saccade.controller.reasons import joined
from saccade.controller.signals import Signals
from saccade.controller.text_form import text_form
from saccade.controller.types import BackboneSpec, StepState


@dataclass(repr=False)
class Compose(BasePolicy):
    """Carry out the plans of several policies together; ``a + b`` makes one, too.

    Of drops, the strictest counts; layers that any of them skips are skipped; a refresh or a new
    selection that any wants is made; the first rule for commits holds.

    Parameters
    ----------
    policies : sequence of BasePolicy
        Those of a `Compose` among them stand for themselves.

    Raises
    ------
    TypeError
        If one is not a policy.
    ValueError
        If there are none.
    """

    policies: Sequence[BasePolicy]

    def __post_init__(self) -> None:
        if not isinstance(self.policies, Iterable):
            raise TypeError(f"Compose takes a sequence of policies, not {self.policies!r}")
        given = [checked(policy, "Compose") for policy in self.policies]
        parts = [own.policies if isinstance(own, Compose) else (own,) for own in given]
        self.policies = tuple(policy for part in parts for policy in part)
        if not self.policies:
            raise ValueError("policies=(): give one policy or more")

    def __repr__(self) -> str:
        if len(self.policies) == 1:
            return text_form(self)
        return " + ".join(map(repr, self.policies))

    @property
    def reads(self) -> frozenset[str]:
        """What any of them reads."""
        return frozenset[str]().union(*(policy.reads for policy in self.policies))

    @property
    def drops_ahead(self) -> frozenset[Drop] | None:
        """What any of them announces; None if one does not say."""
        known: frozenset[Drop] = frozenset()
        for policy in self.policies:
            if policy.drops_ahead is None:
                return None
            known |= policy.drops_ahead
        return known

    @property
    def plan_ahead(self) -> Plan:
        """What any of them announces."""
        plans = [policy.plan_ahead for policy in self.policies]
        return Plan(bypass=_layers(plans), commit=_first_rule(plans))

    @property
    def reselects(self) -> bool:
        """Whether any may choose again."""
        return any(policy.reselects for policy in self.policies)

    @property
    def rests(self) -> bool:
        """Whether none will plan anything more in this call."""
        return all(policy.rests for policy in self.policies)

    @property
    def default_pruner(self) -> DefaultPruner | None:
        """The pruner of the first that names one."""
        named = (policy.default_pruner for policy in self.policies)
        return next((name for name in named if name is not None), None)

    def watches(self, state: StepState) -> Watch:
        """Whether any reads the attention of this step, or of which layers."""
        asked = [policy.watches(state) for policy in self.policies]
        if True in asked:
            return True
        return frozenset[int]().union(*(layers for layers in asked if not isinstance(layers, bool)))

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> "Compose":
        """All of them, bound to a backbone."""
        return Compose([policy.bind(spec, pruner) for policy in self.policies])

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """The union of their plans."""
        plans = [policy.plan(state, signals) for policy in self.policies]
        return Plan(
            strictest(drop for plan in plans for drop in plan.drops),
            _layers(plans),
            any(plan.refresh for plan in plans),
            _first_rule(plans),
            any(plan.reselect for plan in plans),
            joined(*(plan.reason for plan in plans)),
        )

    def reset(self) -> None:
        """Let all of them forget everything."""
        for policy in self.policies:
            policy.reset()


def _layers(plans: Sequence[Plan]) -> frozenset[int]:
    """Layers that any plan skips."""
    return frozenset[int]().union(*(plan.bypass for plan in plans))


def _first_rule(plans: Sequence[Plan]) -> CommitRule | None:
    return next((plan.commit for plan in plans if plan.commit is not None), None)


def strictest(drops: Iterable[Drop]) -> tuple[Drop, ...]:
    """Drops that leave before every layer what the strictest of some leaves there."""
    out: list[Drop] = []
    for drop in sorted(drops, key=lambda d: (d.layer, d.keep)):
        if not out or drop.keep < out[-1].keep:
            out.append(drop)
    return tuple(out)
