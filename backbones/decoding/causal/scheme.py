"""The autoregressive way: one token a step, each from the last row before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.causal.answer import CausalAnswer
from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.filtered import COLD, candidates, filtered
from saccade.backbones.decoding.scheme import Proposal
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.execution.step_context import Span
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import BackboneSpec


class NextToken:
    """Causal decoding with cached keys and values of everything so far.

    The first step runs the prompt; a refresh runs it again with the tokens written since.

    Parameters
    ----------
    settings : CausalSettings
    spec : BackboneSpec
    dtype : torch.dtype
        Of the model; not used.
    """

    copies = 1

    def __init__(self, settings: CausalSettings, spec: BackboneSpec, dtype: torch.dtype) -> None:
        self.settings, self.spec = settings, spec
        self.appends = settings.gen_length

    def answer(
        self,
        prompt_len: int,
        stops: Sequence[AnswerStop],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> CausalAnswer:
        return CausalAnswer(self.settings, stops)

    def next_span(self, sequence: SequenceState, refresh: bool) -> Span:
        stop = len(sequence.inputs) + len(sequence.answer.ids)
        return Span(0 if refresh else stop - 1, stop, stop, prefill=False, queries=1)

    def begin(self, sequence: SequenceState, token: int) -> tuple[int, ...]:
        """Nothing: the prompt runs with what follows it."""
        return ()

    def last(self, span: Span) -> int:
        return 1

    def rows(self, hidden: Tensor, span: Span) -> Tensor:
        return hidden

    def choose(self, logits: Tensor, group: Sequence[SequenceState], span: Span) -> Proposal:
        s = self.settings
        if s.temperature <= COLD:
            return Proposal(logits, logits, logits.argmax(-1))
        left = filtered(logits, s.temperature, s.top_p, s.top_k)
        return Proposal(logits, left, candidates(left.softmax(-1), [d.generator for d in group]))

    def commit(
        self,
        sequence: SequenceState,
        chosen: Tensor,
        ranking: Tensor,
        span: Span,
        sure: Tensor | None = None,
    ) -> Commit:
        """Write the one token that there is."""
        answer = sequence.answer
        assert isinstance(answer, CausalAnswer)
        return answer.commit(chosen)
