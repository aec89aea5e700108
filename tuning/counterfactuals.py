"""What would have happened: continuations of the unpruned run of a sample, one an action."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saccade.backbones.decoding.snapshot import Snapshot
from saccade.backbones.decoding.step_view import StepView
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.model import Model
from saccade.controller.arguments import check_fraction
from saccade.controller.controller import Controller
from saccade.controller.learned.actions import Action
from saccade.controller.learned.features import FEATURES, table
from saccade.controller.plan import Plan
from saccade.controller.trace import Generation
from saccade.tuning.agreement import agreement
from saccade.tuning.holding import Holding
from saccade.tuning.splits import Sample

SHARES = (0.0, 0.125, 0.25, 0.5, 0.75)
"""Where in a call actions are tried, as shares of its steps; 0 is the second step."""
PRUNER = "redvtp(rows='all')"
"""What chooses the tokens that stay, by default: as under the default policy."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is tried on every sample.

    Attributes
    ----------
    actions : tuple of Action
    shares : tuple of float
        See `SHARES`.
    pruner : str or None
        As text; None where no action drops tokens.
    label_free : bool
        Score by agreement with the unpruned answer, instead of the task's metric.
    seed : int
        Of random choices.
    """

    actions: tuple[Action, ...]
    shares: tuple[float, ...] = SHARES
    pruner: str | None = PRUNER
    label_free: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        shares = tuple(check_fraction("a share of the steps", share) for share in self.shares)
        if not shares or not self.actions:
            raise ValueError("there is nothing to try: give an action and a share of the steps")
        object.__setattr__(self, "shares", shares)

    def controller(self, plan: Plan, watch: bool = False) -> Controller:
        """What holds to a plan; with `watch` everything is measured."""
        drops = frozenset(drop for action in self.actions for drop in action.plan.drops)
        policy = Holding(plan, drops)
        pruner = self.pruner if drops else None
        return Controller(policy, pruner, probe="all" if watch else "needed", tokens=watch)

    def check(self, model: Model) -> None:
        """Raise an error unless a model can carry out every action; as `Controller.check`."""
        for action in self.actions:
            self.controller(action.plan).check(model.spec)

    def steps(self, n_steps: int) -> frozenset[int]:
        """Numbers of the steps before which actions are tried, in a call of so many."""
        return frozenset(max(1, math.ceil(share * n_steps)) for share in self.shares)


@dataclass(slots=True)
class _Seen:
    """States of the unpruned run between two steps, and what the step before showed."""

    experiment: Experiment
    found: list[tuple[Snapshot, StepView]] = field(default_factory=list)

    def __call__(self, view: StepView) -> None:
        snapshot_step, n_steps = view.step + 1, view.record.state.n_steps
        if snapshot_step in self.experiment.steps(n_steps):
            snapshot = view.snapshot()
            if not snapshot.kept.answer.done:
                self.found.append((snapshot, view))


def counterfactuals(
    model: Model, sample: Sample, experiment: Experiment, settings: Mapping[str, Any]
) -> list[Row]:
    """Rows of one sample: a row for each action, before each chosen step.

    Parameters
    ----------
    model : Model
    sample : Sample
    experiment : Experiment
    settings : mapping of str to object
        Options of `generate`, in the words of the model's family.

    Returns
    -------
    list of dict
        With the columns of `COLUMNS`; none if the answer is done too soon.
    """
    prepared = model.prepare(sample.question, sample.images)
    bare, found = _unpruned(model, prepared, experiment, settings)
    scorer = _Scorer(sample, bare, experiment.label_free)
    fixed = {"page": page_of(sample), "seed": experiment.seed, "bare_score": scorer(bare)}
    return [
        {**fixed, **row}
        for snapshot, view in found
        for row in _of_step(model, experiment, snapshot, view, bare, scorer)
    ]


def _unpruned(
    model: Model, prepared: Prepared, experiment: Experiment, settings: Mapping[str, Any]
) -> tuple[Generation, list[tuple[Snapshot, StepView]]]:
    seen = _Seen(experiment)
    watching = experiment.controller(Plan(), watch=True)
    options: dict[str, Any] = {"seed": experiment.seed, **settings}
    bare = model.generate(inputs=prepared, controller=watching, callback=seen, **options)
    return bare, seen.found


def _of_step(
    model: Model,
    experiment: Experiment,
    snapshot: Snapshot,
    view: StepView,
    bare: Generation,
    scorer: "_Scorer",
) -> Iterator[Row]:
    """A row for each action that begins at one step."""
    state, n_layers = snapshot.state, model.spec.geometry.n_layers
    rows = table(state, view.record.signals, experiment.actions, n_layers)
    left = _macs(bare, state.step)
    for action, features in zip(experiment.actions, rows.tolist(), strict=True):
        out = model.resume(snapshot, experiment.controller(action.plan))
        known = (None if value != value else value for value in features)
        score = scorer(out)
        yield {
            "step": state.step,
            "n_steps": state.n_steps,
            "action": action.name,
            **dict(zip(FEATURES, known, strict=True)),
            "changed": out.tokens != bare.tokens,
            "score": score,
            "score_change": score - scorer.bare,
            "macs": out.trace.macs,
            "bare_macs": bare.trace.macs,
            "saved_macs": bare.trace.macs - out.trace.macs,
            "saved": 1 - _macs(out, state.step) / left,
        }


def _macs(out: Generation, first: int) -> int:
    """Multiply-accumulates from a step on."""
    return sum(step.macs for step in out.trace.steps[first:])


class _Scorer:
    """Scores answers to one sample."""

    def __init__(self, sample: Sample, bare: Generation, label_free: bool) -> None:
        self.sample, self.unpruned, self.label_free = sample, bare, label_free
        self.bare = self(bare)

    def __call__(self, out: Generation) -> float:
        if self.label_free:
            return agreement(out.tokens, self.unpruned.tokens)
        return float(self.sample.score(out.text or "").score)


def page_of(sample: Sample) -> str:
    """What a sample may share with another: hashes of its pictures, or of its question."""
    found = []
    for image in sample.images:
        head = f"{image.mode} {image.size}".encode()
        found.append(hashlib.sha256(head + image.tobytes()).hexdigest()[:16])
    text = sample.question.strip().encode()
    return " ".join(found) or f"question-{hashlib.sha256(text).hexdigest()[:16]}"


COLUMNS: Sequence[tuple[str, str]] = (
    ("task", "string"),
    ("sample", "int64"),
    ("page", "string"),
    ("seed", "int64"),
    ("step", "int64"),
    ("n_steps", "int64"),
    ("action", "string"),
    *((name, "float64") for name in FEATURES),
    ("changed", "bool"),
    ("score", "float64"),
    ("bare_score", "float64"),
    ("score_change", "float64"),
    ("macs", "int64"),
    ("bare_macs", "int64"),
    ("saved_macs", "int64"),
    ("saved", "float64"),
)
"""Columns of the table and their types. Features are null where they are not known."""
