"""LaViDa-Dream's way: one block, logits shifted by one, over prompt and response or a cached
prompt."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.filtered import COLD, candidates, filtered, ranking_confidence
from saccade.backbones.decoding.lavida.answer import LavidaAnswer
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.decoding.scheme import Proposal
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.execution.step_context import Span
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import BackboneSpec


class MaskedAnswer:
    """Denoising of a whole answer at once, as LaViDa-Dream does it (LaViDa, arXiv 2505.16839).

    In prefix mode the prompt runs once and is cached; its last row decides the first token. In full
    mode every step runs prompt and response.

    Parameters
    ----------
    settings : LavidaSettings
    spec : BackboneSpec
        With the mask id of this call.
    dtype : torch.dtype
        Of the model: of the published confidences.
    """

    copies, appends = 1, 0

    def __init__(self, settings: LavidaSettings, spec: BackboneSpec, dtype: torch.dtype) -> None:
        self.settings, self.spec = settings, spec
        self.dtype = torch.float32 if settings.confidence_dtype == "float32" else dtype

    def answer(
        self,
        prompt_len: int,
        stops: Sequence[AnswerStop],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> LavidaAnswer:
        mask = self.spec.mask_id
        assert mask is not None
        return LavidaAnswer(self.settings, mask, stops, generator)

    def next_span(self, sequence: SequenceState, refresh: bool) -> Span:
        prompt, response = len(sequence.inputs), len(sequence.answer.ids)
        prefix = self.settings.prefix_lm
        start = prompt if prefix else 0
        return Span(start, prompt + response, 0, prefill=prefix and refresh, queries=response)

    def begin(self, sequence: SequenceState, token: int) -> tuple[int, ...]:
        answer = _own(sequence)
        answer.begin(token)
        return () if bool(answer.masked[0]) else (0,)

    def last(self, span: Span) -> int:
        """One more than there are positions where the row before the first is at hand."""
        return span.queries if span.start else span.queries + 1

    def rows(self, hidden: Tensor, span: Span) -> Tensor:
        """Those one before the answer's positions; the first stands in for itself in prefix mode,
        where it is decided already."""
        if not span.start:
            return hidden[:, :-1]
        return torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)

    def choose(self, logits: Tensor, group: Sequence[SequenceState], span: Span) -> Proposal:
        s = self.settings
        left = filtered(logits.to(self.dtype), s.temperature, s.top_p, s.top_k)
        probabilities = left.softmax(-1)
        generators = [d.generator for d in group] if s.temperature > COLD else None
        masked = torch.stack([d.answer.masked for d in group]).to(logits.device)
        chosen = candidates(probabilities, generators, masked)
        return Proposal(logits, logits, chosen, ranking_confidence(probabilities, chosen, s.alg))

    def commit(
        self,
        sequence: SequenceState,
        chosen: Tensor,
        ranking: Tensor,
        span: Span,
        sure: Tensor | None = None,
    ) -> Commit:
        return _own(sequence).commit(chosen, ranking, sure=sure)


def _own(sequence: SequenceState) -> LavidaAnswer:
    answer = sequence.answer
    assert isinstance(answer, LavidaAnswer)
    return answer
