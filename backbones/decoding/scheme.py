"""What a way of decoding has to say: which rows a step forwards, and what it takes from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.execution.sequence import Answer, SequenceState
from saccade.backbones.execution.step_context import Span
from saccade.backbones.inputs.stops import AnswerStop


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
        stops: Sequence[AnswerStop],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> Answer:
        """A fresh answer to a prompt of `prompt_len` tokens; `generator` is on the CPU."""
        ...

    def next_span(self, sequence: SequenceState, refresh: bool) -> Span:
        """What the next step forwards; `refresh` asks for the prompt to be computed."""
        ...

    def begin(self, sequence: SequenceState, token: int) -> tuple[int, ...]:
        """Take the best token after the prompt, where that ran on its own at first; the response
        positions that are decided by it."""
        ...

    def rows(self, hidden: Tensor, span: Span) -> Tensor:
        """Rows (B, R, D) that predict the answer's positions, of the forward's last rows."""
        ...

    def last(self, span: Span) -> int:
        """How many of the last rows of the forward `rows` needs."""
        ...

    def choose(self, logits: Tensor, group: Sequence[SequenceState], span: Span) -> Proposal:
        """Candidates from logits (B, R, V) of the answer's positions; may change them in place."""
        ...

    def commit(
        self,
        sequence: SequenceState,
        chosen: Tensor,
        ranking: Tensor,
        span: Span,
        sure: Tensor | None = None,
    ) -> Commit:
        """Commit a step's tokens: `chosen` (R,), and `ranking` (R,), -inf where not eligible;
        and those that are `sure` (R,), in addition to the schedule's."""
        ...
