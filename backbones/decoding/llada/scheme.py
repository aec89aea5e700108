"""LLaDA-V's way: blocks of masked positions, every step over prompt and response, or a cached
prefix between refreshes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.llada.answer import LladaAnswer
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.sampling import (
    forbid,
    guided,
    gumbel_scores,
    random_confidence,
    response_noise,
)
from saccade.backbones.decoding.scheme import Proposal
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.execution.step_context import Span
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import BackboneSpec


class MaskedBlocks:
    """Denoising block by block, as LLaDA-V does it (arXiv 2505.16933); with
    `prefix_refresh_interval` as with its prefix cache (Fast-dLLM, arXiv 2505.22618).

    Parameters
    ----------
    settings : GenerateSettings
    spec : BackboneSpec
        With the mask and forbidden ids of this call.
    dtype : torch.dtype
        Of the model; not used, as confidences are always float64.
    """

    appends = 0

    def __init__(self, settings: GenerateSettings, spec: BackboneSpec, dtype: torch.dtype) -> None:
        self.settings, self.spec = settings, spec

    @property
    def copies(self) -> int:
        return 2 if self.settings.cfg_scale > 0 else 1

    def answer(
        self,
        prompt_len: int,
        stops: Sequence[AnswerStop],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> LladaAnswer:
        mask = self.spec.mask_id
        assert mask is not None
        return LladaAnswer(self.settings, prompt_len, mask, stops, suffix)

    def next_span(self, sequence: SequenceState, refresh: bool) -> Span:
        """Everything, or from the present block on where what is before it is cached."""
        answer, prompt = _own(sequence), len(sequence.inputs)
        stop, interval = prompt + len(answer.ids), self.settings.prefix_refresh_interval
        cached = 0 if interval is None else prompt + answer.block_start
        if refresh or interval is None or answer.step_in_block % interval == 0:
            return Span(0, stop, cached, prefill=False, queries=stop - prompt)
        return Span(cached, stop, 0, False, queries=stop - cached, first=answer.block_start)

    def begin(self, sequence: SequenceState, token: int) -> tuple[int, ...]:
        """Nothing: the prompt never runs on its own."""
        return ()

    def last(self, span: Span) -> int:
        return span.queries

    def rows(self, hidden: Tensor, span: Span) -> Tensor:
        return hidden

    def choose(self, logits: Tensor, group: Sequence[SequenceState], span: Span) -> Proposal:
        if self.copies > 1:
            logits = guided(logits, self.settings.cfg_scale)
        masked = torch.stack([d.answer.masked[span.first :] for d in group]).to(logits.device)
        scores = logits = forbid(logits, masked, self.spec.forbidden_ids)
        if self.settings.temperature > 0:
            noise = torch.stack([self._noise(logits, d, span) for d in group])
            scores = gumbel_scores(logits, noise, self.settings.temperature)
        rank = None
        if self.settings.remasking == "random":
            rank = torch.stack([self._random(logits, d, span) for d in group])
        return Proposal(logits, scores, scores.argmax(-1), rank)

    def _noise(self, logits: Tensor, sequence: SequenceState, span: Span) -> Tensor:
        shape = (logits.shape[1], logits.shape[2])
        return response_noise(shape, _skipped(sequence, span), sequence.generator, logits.device)

    def _random(self, logits: Tensor, sequence: SequenceState, span: Span) -> Tensor:
        skipped = _skipped(sequence, span)
        return random_confidence(logits.shape[1], skipped, sequence.generator, logits.device)

    def commit(
        self,
        sequence: SequenceState,
        chosen: Tensor,
        ranking: Tensor,
        span: Span,
        sure: Tensor | None = None,
    ) -> Commit:
        cached = span.first if span.start else None
        return _own(sequence).commit(chosen, ranking, cached, sure)


def _own(sequence: SequenceState) -> LladaAnswer:
    answer = sequence.answer
    assert isinstance(answer, LladaAnswer)
    return answer


def _skipped(sequence: SequenceState, span: Span) -> int:
    """Rows before the answer's in this forward, for which the published code draws too."""
    return 0 if span.start else len(sequence.inputs)
