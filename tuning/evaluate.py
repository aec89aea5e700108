"""Settings scored on the same samples: what their answers are worth, and the work they cost."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import Encode, encode_for
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError
from saccade.controller.session import Positions
from saccade.controller.trace import Generation
from saccade.tuning.agreement import agreement
from saccade.tuning.splits import Sample

BATCH = 8
"""Samples that are answered together; each answer is the one that its sample gets alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, scored.

    Attributes
    ----------
    text : str
    tokens : tuple of int
    score : float
        The task's metric, or the agreement with the unpruned answer; higher is better.
    macs : int
        Exact multiply-accumulates, those of the vision tower and the projector included.
    changed : bool
        Whether its tokens differ from those of the unpruned answer.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    macs: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a setting did, on all samples or on the first of them.

    Attributes
    ----------
    answers : tuple of Answer
        In the order of the samples.
    bare_score : float
        Mean score of the unpruned answers to all samples.
    losses : tuple of float
        By sample, what the unpruned answer scores more; below 0 where it scores less.
    costs : tuple of float
        By sample, multiply-accumulates relative to those of the unpruned answer.
    """

    answers: tuple[Answer, ...]
    bare_score: float
    losses: tuple[float, ...]
    costs: tuple[float, ...]

    @property
    def score(self) -> float:
        """Mean score."""
        return fmean(answer.score for answer in self.answers)

    @property
    def cost(self) -> float:
        """Mean relative cost: 1 is that of the unpruned model, lower is better."""
        return fmean(self.costs)

    @property
    def macs(self) -> int:
        """Exact multiply-accumulates of all answers."""
        return sum(answer.macs for answer in self.answers)

    @property
    def changed(self) -> float:
        """Share of the answers that differ from the unpruned ones."""
        return fmean(float(answer.changed) for answer in self.answers)


Watch = Callable[[Outcome], None]
"""Told after every batch what came out so far; what it raises ends the evaluation."""


Each = Callable[[Generation], None]
"""Told of every answer as it was generated."""


class Evaluation:
    """Scores settings on samples; the unpruned answers are made once, and kept.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
    settings : mapping of str to object
        Options of `generate`, in the words of the model's family.
    label_free : bool
        Score by agreement with the unpruned answer, instead of the task's metric.
    batch : int
        Samples that are answered together.
    positions : "original" or "compact"
        As in `Controller`.
    seed : int
        Of random choices.

    Raises
    ------
    ValueError
        If there are no samples.
    """

    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        settings: Mapping[str, Any],
        *,
        label_free: bool = False,
        batch: int = BATCH,
        positions: Positions = "original",
        seed: int = 0,
    ) -> None:
        if not samples:
            raise ValueError("there are no samples; give one or more")
        self.model, self.samples, self.settings = model, tuple(samples), dict(settings)
        self.label_free, self.batch, self.positions, self.seed = label_free, batch, positions, seed
        self._prepared: dict[tuple[int, Encode], Prepared] = {}

    @functools.cached_property
    def bare(self) -> tuple[Answer, ...]:
        """The answers of the model without a controller."""
        outs = [out for start in self._starts for out in self._generate(start, None)]
        return tuple(self._answer(i, out, out) for i, out in enumerate(outs))

    @functools.cached_property
    def fingerprint(self) -> str:
        """What the numbers of the samples rest on: questions, and the unpruned answers' tokens."""
        said = [(s.question, a.tokens) for s, a in zip(self.samples, self.bare, strict=True)]
        return hashlib.sha256(repr(said).encode()).hexdigest()

    @property
    def bare_score(self) -> float:
        """Mean score of the unpruned answers."""
        return fmean(answer.score for answer in self.bare)

    def controller(self, policy: str, pruner: str | None = None) -> Controller:
        """What carries out a setting; errors as `Controller` raises them, and as its check."""
        made = Controller(policy, pruner, positions=self.positions)
        made.check(self.model.spec)
        return made

    def score(
        self,
        policy: str,
        pruner: str | None = None,
        watch: Watch | None = None,
        each: Each | None = None,
    ) -> Outcome:
        """Answer all samples with a setting, and score them.

        Parameters
        ----------
        policy, pruner : str
            As text; a pruner of None is the policy's default.
        watch : callable, optional
            See `Watch`.
        each : callable, optional
            See `Each`.

        Raises
        ------
        SaccadeError, ValueError
            If there is no such setting, or the model cannot carry it out.
        """
        controller = self.controller(policy, pruner)
        answers: list[Answer] = []
        outcome = self._outcome(())
        for start in self._starts:
            for out in self._generate(start, controller):
                if each is not None:
                    each(out)
                answers.append(self._answer(len(answers), out, self.bare[len(answers)]))
            outcome = self._outcome(answers)
            if watch is not None:
                watch(outcome)
        return outcome

    def answer_batch(self, controller: Controller | None) -> list[Generation]:
        """Answer the first batch from pictures and questions on, as it is timed."""
        samples = self.samples[: self.batch]
        return self.model.generate(
            [sample.question for sample in samples],
            [list(sample.images) for sample in samples],
            controller=controller,
            seed=self.seed,
            **self.settings,
        )

    @property
    def _starts(self) -> range:
        return range(0, len(self.samples), self.batch)

    def _generate(self, start: int, controller: Controller | None) -> list[Generation]:
        way = encode_for(controller)
        places = range(start, min(start + self.batch, len(self.samples)))
        inputs = [self._inputs(place, way) for place in places]
        return self.model.generate(
            inputs=inputs, controller=controller, seed=self.seed + start, **self.settings
        )

    def _inputs(self, place: int, way: Encode) -> Prepared:
        """A sample as the model reads it, kept for the next setting."""
        if (place, way) not in self._prepared:
            sample = self.samples[place]
            try:
                made = self.model.processor.prepare(sample.question, sample.images, encode=way)
            except (SaccadeError, ValueError, TypeError, OSError) as error:
                raise SaccadeError(f"sample {sample.index}: {error}") from error
            self._prepared[place, way] = made
        return self._prepared[place, way]

    def _answer(self, place: int, out: Generation, bare: "Generation | Answer") -> Answer:
        text = out.text or ""
        if self.label_free:
            score = agreement(out.tokens, bare.tokens)
        else:
            score = float(self.samples[place].score(text).score)
        macs = out.trace.macs + out.trace.prepare_macs
        return Answer(text, out.tokens, score, macs, out.tokens != bare.tokens)

    def _outcome(self, answers: Sequence[Answer]) -> Outcome:
        pairs = list(zip(self.bare, answers, strict=False))
        return Outcome(
            tuple(answers),
            self.bare_score,
            tuple(bare.score - own.score for bare, own in pairs),
            tuple(own.macs / bare.macs for bare, own in pairs),
        )
