"""What a way of decoding has to say: which rows a step forwards, and what it takes from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.cache import Cache
from saccade.controller.trace import StepRecord
from saccade.controller.types import StepState


class Answer(Protocol):
    """The answer of one sequence while it is decoded; host only.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Response, and a suffix where there is one; masked positions carry the mask id. An
        autoregressive answer grows.
    done : bool
    """

    ids: Tensor
    done: bool

    @property
    def masked(self) -> Tensor:
        """Positions (R,) bool that a step may still decide."""
        ...

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer so far, as it is returned."""
        ...

    @property
    def state(self) -> StepState:
        """What is known before the next step."""
        ...

    def eligible(self) -> Tensor:
        """Positions (R,) bool that may be committed now."""
        ...


@dataclass(slots=True, eq=False)
class Decoding:
    """One sequence while it is decoded: inputs, answer, random numbers, cache, records.

    Attributes
    ----------
    number : int
        In the call.
    inputs : Prepared
    answer : Answer
    generator : torch.Generator or None
        Of the model's random numbers, on its device; None for torch's global one.
    seed : int
        For pruners.
    cache : Cache or None
        None before the prompt was cached.
    age : int
        Steps since it was.
    records : list of StepRecord
    transfers : int
        Copies to the host so far.
    tower_macs : int
        Multiply-accumulates of the vision tower in this call.
    """

    number: int
    inputs: Prepared
    answer: Answer
    generator: torch.Generator | None
    seed: int
    cache: Cache | None = None
    age: int = 0
    records: list[StepRecord] = field(default_factory=list)
    transfers: int = 0
    tower_macs: int = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """Which positions one step forwards of one sequence, prompt and response counted through.

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


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What a forward proposes, on the model's device.

    Attributes
    ----------
    logits : Tensor (B, R, V) float32
        What probabilities and entropies are taken from.
    scores : Tensor (B, R, V)
        What the candidates are the best of.
    chosen : Tensor (B, R) int64
        Candidates.
    rank : Tensor (B, R) or None
        What decides which positions are committed first; None for the candidates' probabilities.
    """

    logits: Tensor
    scores: Tensor
    chosen: Tensor
    rank: Tensor | None = None


class Scheme(Protocol):
    """A way of decoding, with the settings of one call.

    Attributes
    ----------
    copies : int
        Times every sequence is forwarded: 2 with guidance.
    appends : int
        Rows that join the cache one after the other; 0 if it keeps to the prompt.
    """

    @property
    def copies(self) -> int: ...

    @property
    def appends(self) -> int: ...

    def answer(
        self,
        prompt_len: int,
        stops: Sequence[Sequence[int]],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> Answer:
        """A fresh answer to a prompt of `prompt_len` tokens; `generator` is on the CPU."""
        ...

    def next_pass(self, decoding: Decoding, refresh: bool) -> Pass:
        """What the next step forwards; `refresh` asks for the prompt to be computed."""
        ...

    def begin(self, decoding: Decoding, token: int) -> tuple[int, ...]:
        """Take the best token after the prompt, where that ran on its own at first; the response
        positions that are decided by it."""
        ...

    def rows(self, hidden: Tensor, work: Pass) -> Tensor:
        """Rows (B, R, D) that predict the answer's positions, of the forward's last rows."""
        ...

    def last(self, work: Pass) -> int:
        """How many of the last rows of the forward `rows` needs."""
        ...

    def choose(self, logits: Tensor, group: Sequence[Decoding], work: Pass) -> Proposal:
        """Candidates from logits (B, R, V) of the answer's positions; may change them in place."""
        ...

    def commit(
        self,
        decoding: Decoding,
        chosen: Tensor,
        ranking: Tensor,
        work: Pass,
        sure: Tensor | None = None,
    ) -> Commit:
        """Commit a step's tokens: `chosen` (R,), and `ranking` (R,), -inf where not eligible;
        those that are `sure` (R,) beside the schedule's."""
        ...
