"""LaViDa-LLaDA's way: blocks of masked positions, over prompt and response or a cached prompt."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.filtered import ranking_confidence
from saccade.backbones.decoding.lavida_llada.answer import BlockAnswer
from saccade.backbones.decoding.lavida_llada.settings import BlockSettings
from saccade.backbones.decoding.sampling import (
    forbid,
    gumbel_scores,
    random_confidence,
    response_noise,
)
from saccade.backbones.decoding.scheme import Proposal
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.execution.step_context import Span
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import BackboneSpec

_RANKED = {"margin": "topk_margin", "entropy": "entropy"}
"""What confidences other than the candidate's probability are called where they are computed."""


class AnswerBlocks:
    """Denoising block by block, as LaViDa does it over LLaDA (arXiv 2505.16839).

    Every step forwards all positions of the answer, those of later blocks as masks. In prefix mode
    the prompt runs once and is cached; it decides no token.

    Parameters
    ----------
    settings : BlockSettings
    spec : BackboneSpec
        With the mask and forbidden ids of this call.
    dtype : torch.dtype
        Of the model; not used, as confidences are always float64.
    """

    copies, appends = 1, 0

    def __init__(self, settings: BlockSettings, spec: BackboneSpec, dtype: torch.dtype) -> None:
        self.settings, self.spec = settings, spec

    def answer(
        self,
        prompt_len: int,
        stops: Sequence[AnswerStop],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> BlockAnswer:
        mask = self.spec.mask_id
        assert mask is not None
        return BlockAnswer(self.settings, mask, stops)

    def next_span(self, sequence: SequenceState, refresh: bool) -> Span:
        prompt, response = len(sequence.inputs), len(sequence.answer.ids)
        prefix = self.settings.prefix_lm
        start = prompt if prefix else 0
        return Span(start, prompt + response, 0, prefill=prefix and refresh, queries=response)

    def begin(self, sequence: SequenceState, token: int) -> tuple[int, ...]:
        """Nothing: the prompt decides no token."""
        return ()

    def last(self, span: Span) -> int:
        return span.queries

    def rows(self, hidden: Tensor, span: Span) -> Tensor:
        return hidden

    def choose(self, logits: Tensor, group: Sequence[SequenceState], span: Span) -> Proposal:
        masked = torch.stack([d.answer.masked for d in group]).to(logits.device)
        scores = logits = forbid(logits, masked, self.spec.forbidden_ids)
        if self.settings.temperature > 0:
            noise = torch.stack([self._noise(logits, d, span) for d in group])
            scores = gumbel_scores(logits, noise, self.settings.temperature)
        chosen = scores.argmax(-1)
        return Proposal(logits, scores, chosen, self._rank(logits, chosen, group, span))

    def _rank(
        self, logits: Tensor, chosen: Tensor, group: Sequence[SequenceState], span: Span
    ) -> Tensor | None:
        """What decides which positions are committed first; None for their probabilities."""
        kind = self.settings.remasking
        if kind == "random":
            drawn = [
                random_confidence(logits.shape[1], _skipped(d, span), d.generator, logits.device)
                for d in group
            ]
            return torch.stack(drawn)
        if kind in _RANKED:
            return ranking_confidence(logits.double().softmax(-1), chosen, _RANKED[kind])
        return None

    def _noise(self, logits: Tensor, sequence: SequenceState, span: Span) -> Tensor:
        shape = (logits.shape[1], logits.shape[2])
        return response_noise(shape, _skipped(sequence, span), sequence.generator, logits.device)

    def commit(
        self,
        sequence: SequenceState,
        chosen: Tensor,
        ranking: Tensor,
        span: Span,
        sure: Tensor | None = None,
    ) -> Commit:
        answer = sequence.answer
        assert isinstance(answer, BlockAnswer)
        return answer.commit(chosen, ranking, sure=sure)


def _skipped(sequence: SequenceState, span: Span) -> int:
    """Rows before the answer's in this forward, for which random numbers are drawn too."""
    return 0 if span.start else len(sequence.inputs)
