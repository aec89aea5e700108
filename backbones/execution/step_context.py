"""One sequence in the present step: what is known, what is planned, and what it forwards."""

import dataclasses
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.inputs.prepare import Prepared
from saccade.controller.plan import Plan
from saccade.controller.types import StepState


@dataclass(frozen=True, slots=True)
class Span:
    """Which positions a forward computes of one sequence, prompt and response counted through.

    Attributes
    ----------
    start, stop : int
        Of the rows that give the logits. They read what is cached unless `start` is 0.
    keep : int
        Keys and values of the positions below it are cached afterwards; 0 for none.
    prefill : bool
        Whether the prompt runs on its own before them, and is cached.
    queries : int
        Last of those rows whose attention is the answer's.
    first : int
        Response position that the first row of logits is about.
    """

    start: int
    stop: int
    keep: int
    prefill: bool
    queries: int
    first: int = 0

    @property
    def refreshes(self) -> bool:
        """Whether the prompt is computed."""
        return self.prefill or self.start == 0


@dataclass(frozen=True, slots=True)
class Count:
    """What one forward computed of one sequence.

    Attributes
    ----------
    rows, keys : tuple of int
        Per layer.
    head : int
        Rows of the output head.
    copies : int
        How often it was forwarded.
    """

    rows: tuple[int, ...]
    keys: tuple[int, ...]
    head: int
    copies: int = 1


@dataclass(slots=True, eq=False)
class StepContext:
    """One sequence in the present step.

    Attributes
    ----------
    sequence : SequenceState
    state : StepState
        Before the step.
    plan : Plan
    span : Span
    watched : frozenset of int
        Layers whose attention is measured in this forward.
    accumulates : bool
        Whether its pruner may ask, in the next step, what this one shows.
    answers : bool
        Whether the last rows are the answer's, and not the end of a prompt that runs on its own.
    counts : list of Count
        Of the forwards of this step; the last one is the answer's.
    begun : tuple of int
        Positions that the prompt's own forward decided.
    """

    sequence: SequenceState
    state: StepState
    plan: Plan
    span: Span
    watched: frozenset[int] = frozenset()
    accumulates: bool = False
    answers: bool = True
    counts: list[Count] = field(default_factory=list)
    begun: tuple[int, ...] = ()

    def of_prompt(self) -> Self:
        """The same where the prompt runs alone: nothing of the answer is measured."""
        n = len(self.inputs)
        span = Span(0, n, n, prefill=False, queries=1)
        return dataclasses.replace(self, span=span, watched=frozenset(), answers=False)

    @property
    def number(self) -> int:
        """Of the sequence in the call."""
        return self.sequence.number

    @property
    def inputs(self) -> Prepared:
        """Of the sequence."""
        return self.sequence.inputs

    @property
    def masked(self) -> Tensor:
        """Positions of the answer (R,) bool that are masked now."""
        return self.sequence.answer.masked

    @property
    def response(self) -> int:
        """Positions after the prompt that this forward knows of."""
        return self.span.stop - len(self.inputs)

    @property
    def response_ids(self) -> Tensor:
        """Ids of the response positions that this forward computes."""
        prompt = len(self.inputs)
        return self.sequence.answer.ids[max(0, self.span.start - prompt) : self.response]

    def drop_before(self, layer: int) -> float | None:
        """Keep ratio of the drop planned before a layer; None without one."""
        return next((drop.keep for drop in self.plan.drops if drop.layer == layer), None)
