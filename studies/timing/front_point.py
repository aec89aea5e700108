"""What a setting gives on samples that no search saw: its score, and three kinds of speed-up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.preset import FrontPoint
from saccade.controller.trace import Generation
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.analysis.projection import BY_ORIGIN, projected
from saccade.studies.runs.answer_records import record_of
from saccade.studies.tasks.task import Sample, Score
from saccade.studies.timing.clock import timed
from saccade.tuning.agreement import agreement

Progress = Callable[[int, int], None]
UNTIMED: dict[str, Any] = {
    "case": "",
    "task": "",
    "sample": 0,
    "unit": 0,
    "position": 0,
    "seconds": 0.0,
    "prepare_seconds": 0.0,
}
"""Fields of a record that arithmetic does not read."""
DIGITS = 4


@dataclass
class _Side:
    """The answers of the bare model, or of the controller."""

    scores: list[float] = field(default_factory=list)
    macs: int = 0
    projected: int = 0
    seconds: dict[int, float] = field(default_factory=dict)


class _Agreed:
    """A sample without a right answer, and the agreement of one answer with the unpruned one."""

    def __init__(self, sample: Sample, agreed: float) -> None:
        self.index, self.question, self.images = sample.index, sample.question, sample.images
        self.answer, self.agreed = "", agreed

    def score(self, text: str) -> Score:
        return Score.of(self.agreed)


def front_point(
    model: Model,
    controller: Controller,
    samples: Sequence[Sample],
    settings: dict[str, Any],
    *,
    time: bool = True,
    label_free: bool = False,
    progress: Progress | None = None,
) -> FrontPoint:
    """Answer samples one by one, without and with a controller in turns, and compare.

    Parameters
    ----------
    model : Model
    controller : Controller
    samples : sequence of Sample
        Of the test set. The first one is answered once before, untimed.
    settings : dict
        Options of `generate`.
    time : bool
        Whether wall time is compared, too; it says nothing while other work runs.
    label_free : bool
        Score by agreement with the unpruned answer, instead of the task's metric.
    progress : callable, optional
        ``progress(done, total)`` in samples.

    Returns
    -------
    FrontPoint
        Its interval is None for a single sample, ``projected`` where no published model of its
        origin is known.
    """
    controller.check(model.spec)
    sides = (_Side(), _Side())
    for turn in range(-1, len(samples)):
        number = max(turn, 0)
        answered: dict[int, tuple[Generation, float]] = {}
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            chosen = controller if which else None
            answered[which] = _answered(model, chosen, samples[number], settings, number)
        if turn >= 0:
            for which, (out, seconds) in answered.items():
                own: Sample = samples[number]
                if label_free:
                    own = _Agreed(own, agreement(out.tokens, answered[0][0].tokens))
                _add(sides[which], model, own, out, number, seconds)
        if progress is not None:
            progress(turn + 1, len(samples))
    return _point(*sides, time).model_copy(
        update={"scored_by": "agreement" if label_free else "metric"}
    )


def _answered(
    model: Model,
    controller: Controller | None,
    sample: Sample,
    settings: dict[str, Any],
    seed: int,
) -> tuple[Generation, float]:
    pictures = list(sample.images)
    own = {"seed": seed} | settings

    def work() -> Generation:
        return model.generate(sample.question, pictures, controller=controller, **own)

    return timed(work, model.device)


def _add(
    side: _Side, model: Model, sample: Sample, out: Generation, number: int, seconds: float
) -> None:
    side.macs += out.trace.macs + out.trace.prepare_macs
    side.seconds[number] = seconds
    side.scores.append(sample.score(out.text or "").score)
    side.projected += projected_macs(model, out)


class _Unscored:
    """A sample of whose answer the work alone is wanted."""

    index, answer = 0, ""

    def score(self, text: str) -> Score:
        return Score.of(0.0, best=1.0)


def projected_macs(model: Model, out: Generation) -> int:
    """Work of an answer at the size of the published model; 0 where none of its origin is known."""
    published = BY_ORIGIN.get(model.spec.origin)
    sample: Any = _Unscored()
    return 0 if published is None else projected(record_of(sample, out, UNTIMED), published)


def _point(bare: _Side, own: _Side, time: bool) -> FrontPoint:
    before, after = fmean(bare.scores), fmean(own.scores)
    speed, low, high = paired_speedup(bare.seconds, own.seconds)
    several = time and len(own.seconds) > 1
    return FrontPoint(
        score=round(after, DIGITS),
        score_relative=round(after / before, DIGITS) if before else None,
        ideal=round(bare.macs / own.macs, DIGITS),
        projected=round(bare.projected / own.projected, DIGITS) if own.projected else None,
        measured=round(speed, DIGITS) if time else None,
        measured_low=round(low, DIGITS) if several else None,
        measured_high=round(high, DIGITS) if several else None,
    )
