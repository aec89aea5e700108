"""Commit what the model is sure of, in addition to what the schedule commits: fewer steps."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from saccade.controller.plan import CommitRule, Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class ConfidentCommits(BasePolicy):
    """Every step also commits the positions whose candidate is likely enough.

    No call takes more steps than its settings say: the schedule's own positions are committed too.

    Parameters
    ----------
    value : float
        Confidence that is enough, in [0, 1], or the factor of Fast-dLLM's rule, 0 or more; the
        range worth tuning is that of confidences.
    kind : "threshold" or "factor"
        As in `CommitRule`.

    Raises
    ------
    PlanError
        If the kind is another, or the value out of range.

    Notes
    -----
    Fast-dLLM, arXiv 2505.22618, section 3.3: confidence-aware parallel decoding.
    """

    drops_ahead: ClassVar[frozenset[Drop]] = frozenset()

    value: float = tunable(0.95, 0.5, 1.0, "probability")
    kind: Literal["threshold", "factor"] = "threshold"

    _rule: Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rule = CommitRule(self.kind, self.value)
        limit = f"confidence >= {rule.value:g}" if rule.kind == "threshold" else None
        reason = f"commits by {limit or f'the factor rule, {rule.value:g}'}"
        self.value, self._rule = rule.value, Plan(commit=rule, reason=reason)

    @property
    def plan_ahead(self) -> Plan:
        """The rule."""
        return self._rule

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """The rule, in every step."""
        return self._rule
