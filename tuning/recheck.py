"""Whether layers that seemed needless, one by one and in the first step, can be skipped together
in whole answers: by the score of samples that the search did not use."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.policies import LayerSkip
from saccade.controller.trace import Generation
from saccade.tuning.vtw import Progress

LOSS = 0.01
"""Largest share of the score that skipped layers may cost."""
BATCH = 8
Scorer = Callable[[int, Generation, Generation], float]
"""Score of an answer, higher is better: the number of its request, it, and the bare model's."""


@dataclass(frozen=True, slots=True)
class Exam:
    """Requests of one kind that are answered in full.

    Attributes
    ----------
    inputs : sequence of Prepared
    settings : mapping of str to object
        Options of `generate`.
    score : callable
        See `Scorer`.
    """

    inputs: Sequence[Prepared]
    settings: Mapping[str, Any]
    score: Scorer


@dataclass(frozen=True, slots=True)
class Marks:
    """How one kind did.

    Attributes
    ----------
    bare, skipped : float
        Mean score of the bare model, and with all layers skipped at once.
    error : float
        Standard error of the mean change; NaN of a single sample.
    """

    bare: float
    skipped: float
    error: float

    @property
    def loss(self) -> float:
        """Share of the bare model's score that is lost; below 0 if some is gained."""
        return (self.bare - self.skipped) / self.bare if self.bare else 0.0


@dataclass(frozen=True, slots=True)
class Recheck:
    """One set of layers, re-checked.

    Attributes
    ----------
    layers : tuple of int
    marks : mapping of str to Marks
        By kind.
    passed : bool
        Whether no kind loses more than is allowed.
    """

    layers: tuple[int, ...]
    marks: Mapping[str, Marks]
    passed: bool


def recheck(
    model: Model,
    layers: Sequence[int],
    cost: Sequence[float],
    exams: Mapping[str, Exam],
    *,
    allowed: float = LOSS,
    progress: Progress | None = None,
) -> list[Recheck]:
    """Skip layers together in whole answers; while that costs too much, do without the costliest.

    Parameters
    ----------
    model : Model
    layers : sequence of int
        To begin with.
    cost : sequence of float
        Of every layer of the model, to tell which is the costliest.
    exams : mapping of str to Exam
        By kind.
    allowed : float
        Largest loss in any kind, as a share of the bare model's score.
    progress : callable, optional
        ``progress(done, total)`` in answers; fewer than `total` if the first sets pass.

    Returns
    -------
    list of Recheck
        In the order they were tried: the last one has passed, or all layers have been given up.
    """
    answers = _Answers(model, exams, len(layers), progress)
    left, tried = tuple(sorted(layers)), []
    while left:
        marks = answers.marks(left)
        passed = all(own.loss <= allowed for own in marks.values())
        tried.append(Recheck(left, marks, passed))
        if passed:
            break
        worst = max(left, key=cost.__getitem__)
        left = tuple(layer for layer in left if layer != worst)
    return tried


class _Answers:
    """Answers of the bare model, kept, and of it with layers skipped."""

    def __init__(
        self, model: Model, exams: Mapping[str, Exam], rounds: int, progress: Progress | None
    ) -> None:
        self.model, self.exams, self.progress = model, exams, progress
        self.done = 0
        self.total = sum(len(exam.inputs) for exam in exams.values()) * (rounds + 1)
        self.bare: dict[str, list[Generation]] = {}

    def marks(self, layers: tuple[int, ...]) -> dict[str, Marks]:
        controller = Controller(LayerSkip(layers=layers))
        return {name: self._marks(name, exam, controller) for name, exam in self.exams.items()}

    def _marks(self, name: str, exam: Exam, controller: Controller) -> Marks:
        if name not in self.bare:
            self.bare[name] = self._answered(exam, None)
        bare, skipped = self.bare[name], self._answered(exam, controller)
        before = [exam.score(i, own, own) for i, own in enumerate(bare)]
        after = [exam.score(i, own, bare[i]) for i, own in enumerate(skipped)]
        changes = [b - a for a, b in zip(before, after, strict=True)]
        error = stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else math.nan
        return Marks(fmean(before), fmean(after), error)

    def _answered(self, exam: Exam, controller: Controller | None) -> list[Generation]:
        out: list[Generation] = []
        for start in range(0, len(exam.inputs), BATCH):
            batch = exam.inputs[start : start + BATCH]
            out += self.model.generate(inputs=batch, controller=controller, **exam.settings)
            self.done += len(batch)
            if self.progress is not None:
                self.progress(self.done, self.total)
        return out
