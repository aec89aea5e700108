"""A schedule that was learned: the cheapest action whose predicted risk is small enough."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from saccade.controller.arguments import check_fraction
from saccade.controller.errors import LearnedError
from saccade.controller.learned.features import FEATURES, READS, table
from saccade.controller.learned.stored import LearnedModel, read_learned
from saccade.controller.plan import CommitRule, Drop, Plan
from saccade.controller.policy import BasePolicy, DefaultPruner
from saccade.controller.protocols import Pruner
from saccade.controller.reasons import compared
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import BackboneSpec, StepState

Risks = NDArray[np.float64]
"""Of every action (A,)."""


@dataclass(slots=True, repr=False)
class Learned(BasePolicy):
    """Leave the model alone until an action is safe enough, then hold the cheapest such action.

    Before every step from the second on, a learned model predicts for each of its actions (visual
    tokens to keep, layers to skip, a confidence to commit at) how likely it is that the answer
    changes if the action is held from here to the end: just that was run, and compared, when it
    was learned. Of the actions whose risk is below `risk` the one that saves most is taken. From
    then on nothing is decided any more, and no attention is measured.

    Parameters
    ----------
    file : str
        The ``learned.json`` that ``saccade learn`` wrote. It is read as numbers; nothing is run.
    risk : float
        Chance of a changed answer that is not accepted any more, in [0, 1]. 0: nothing is done.

    Raises
    ------
    LearnedError
        If the file is missing, damaged or another version's; when it is attached, if it was
        learned on another kind of backbone or with another pruner.
    ValueError
        If `risk` is not in [0, 1].

    Notes
    -----
    The scheme is ours.
    """

    file: str
    risk: float = tunable(0.05, 0.001, 0.5, "chance of a changed answer", log=True)
    _model: LearnedModel = field(init=False, repr=False, compare=False)
    _n_layers: int = field(default=1, init=False, repr=False, compare=False)
    _held: Plan | None = field(default=None, init=False, repr=False, compare=False)
    _foreseen: tuple[StepState, Signals, Risks] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    source: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        if not isinstance(self.file, str | Path) or not str(self.file):
            raise ValueError(f"file={self.file!r}: give the path of a learned.json")
        self.file, self.risk = str(self.file), check_fraction("risk", self.risk)
        self._model = read_learned(self.file)
        self._n_layers = self._model.content.backbone.geometry.n_layers

    @property
    def reads(self) -> frozenset[str]:
        """What the features need that decide anything."""
        used = (READS[FEATURES[i]] for i in self._model.risk.used)
        return frozenset(name for name in used if name is not None)

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """Those of all actions."""
        return frozenset(drop for action in self._model.actions for drop in action.plan.drops)

    @property
    def plan_ahead(self) -> Plan:
        """Layers that any action skips, and that one commits, if one does."""
        actions = self._model.actions
        commits = [action.commit for action in actions if action.commit is not None]
        rule = CommitRule("threshold", min(commits)) if commits else None
        return Plan(bypass=frozenset(i for a in actions for i in a.skip), commit=rule)

    @property
    def default_pruner(self) -> DefaultPruner | None:
        """The one that it was learned with."""
        if self._model.pruner is None:
            return None
        from saccade.controller.expressions import describe_pruner

        described = describe_pruner(self._model.pruner)
        return described.name, described.options

    @property
    def weights(self) -> str:
        """Those of the backbone that it was learned on."""
        return self._model.content.backbone.hash

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> "Learned":
        """Itself, if it was learned on such a backbone, and with this pruner."""
        mismatch = self._model.mismatch(spec)
        if mismatch:
            name = self._model.content.backbone.name
            raise LearnedError(
                f"{self.file} was learned on {name}, and {spec.name} differs ({mismatch}); collect "
                "and learn on this one: saccade traces collect, saccade learn"
            )
        self._check_pruner(pruner)
        return self

    def _check_pruner(self, pruner: Pruner | None) -> None:
        if pruner is None or self._model.pruner is None:
            return
        from saccade.controller.expressions import parse_pruner
        from saccade.controller.text_form import written

        own, given = written(parse_pruner(self._model.pruner)), written(pruner)
        if own != given:
            raise LearnedError(
                f"{self.file} was learned with the pruner {own}, not with {given}; leave the "
                "pruner out, or collect and learn with that one"
            )

    def watches(self, state: StepState) -> bool:
        """Until it has decided."""
        return self._held is None and not self.reads.isdisjoint({"attention", "received"})

    def reset(self) -> None:
        """Nothing is decided."""
        self._held = self._foreseen = None

    @classmethod
    def foresee(cls, calls: Sequence[tuple["Learned", StepState, Signals]]) -> None:
        """Predict once for all sequences of a batch that have not decided."""
        open_ = [call for call in calls if call[0]._held is None]
        for model in {id(own._model): own._model for own, _, _ in open_}.values():
            asked = [call for call in open_ if call[0]._model is model]
            tables = [
                table(state, shown, model.actions, own._n_layers) for own, state, shown in asked
            ]
            risks = model.risk.risks(np.concatenate(tables))
            parts = np.split(risks, len(asked))
            for (own, state, shown), part in zip(asked, parts, strict=True):
                own._foreseen = state, shown, part

    def _risks(self, state: StepState, signals: Signals) -> Risks:
        """Of every action: as foreseen for this very step, or predicted now."""
        seen, self._foreseen = self._foreseen, None
        if seen is not None and seen[0] == state and seen[1] is signals:
            return seen[2]
        model = self._model
        return model.risk.risks(table(state, signals, model.actions, self._n_layers))

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """What was decided; or the cheapest action that is safe enough now; or nothing."""
        if self._held is not None:
            return self._held
        if signals is None:
            return Plan().because("the first step shows what is predicted from")
        model = self._model
        risks = self._risks(state, signals)
        safe = (risks < self.risk) & (model.saved > 0)
        if not bool(safe.any()):
            return Plan().because(self._why_not(risks))
        best = int(np.where(safe, model.saved, -np.inf).argmax())
        action = model.actions[best]
        told = compared("predicted risk", float(risks[best]), "<", self.risk, "risk")
        self._held = action.plan.because(
            f"{action.name}: {told}, the cheapest of {int(safe.sum())} such actions"
        )
        return self._held

    def _why_not(self, risks: Risks) -> str:
        """That no action is safe enough, or that none that is saves anything."""
        least = int(risks.argmin())
        if risks[least] < self.risk:
            return "no action that is safe enough saves anything"
        told = compared("predicted risk", float(risks[least]), ">=", self.risk, "risk")
        return f"{self._model.actions[least].name}: {told}, the least of all actions"
