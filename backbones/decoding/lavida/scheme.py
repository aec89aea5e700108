"""LaViDa-Dream's way: one block, logits shifted by one, over prompt and response or a cached
prompt."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit
from saccade.backbones.decoding.filtered import candidates, filtered, ranking_confidence
from saccade.backbones.decoding.lavida.answer import LavidaAnswer
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.decoding.scheme import Decoding, Pass, Proposal
from saccade.controller.types import BackboneSpec


class MaskedAnswer:
    """Denoising of a whole answer at once (jacklishufan/LaViDa at commit 284ef5c,
    ``dream/generation_utils.py``).

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
        stops: Sequence[Sequence[int]],
        suffix: Sequence[int],
        generator: torch.Generator | None,
    ) -> LavidaAnswer:
        return LavidaAnswer(self.settings, self.spec.mask_id, stops, generator)

    def next_pass(self, decoding: Decoding, refresh: bool) -> Pass:
        prompt, response = len(decoding.inputs), len(decoding.answer.ids)
        prefix = self.settings.prefix_lm
        start = prompt if prefix else 0
        return Pass(start, prompt + response, 0, prefill=prefix and refresh, queries=response)

    def begin(self, decoding: Decoding, token: int) -> tuple[int, ...]:
        answer = _own(decoding)
        answer.begin(token)
        return () if bool(answer.masked[0]) else (0,)

    def last(self, work: Pass) -> int:
        """One more than there are positions where the row before the first is at hand."""
        return work.queries if work.start else work.queries + 1

    def rows(self, hidden: Tensor, work: Pass) -> Tensor:
        """Those one before the answer's positions; the first stands in for itself in prefix mode,
        where it is decided already."""
        if not work.start:
            return hidden[:, :-1]
        return torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)

    def choose(self, logits: Tensor, group: Sequence[Decoding], work: Pass) -> Proposal:
        s = self.settings
        left = filtered(logits.to(self.dtype), s.temperature, s.top_p, s.top_k)
        probabilities = left.softmax(-1)
        generators = [d.generator for d in group] if s.temperature > 0 else None
        masked = torch.stack([d.answer.masked for d in group]).to(logits.device)
        chosen = candidates(probabilities, generators, masked)
        return Proposal(logits, logits, chosen, ranking_confidence(probabilities, chosen, s.alg))

    def commit(
        self,
        decoding: Decoding,
        chosen: Tensor,
        ranking: Tensor,
        work: Pass,
        sure: Tensor | None = None,
    ) -> Commit:
        return _own(decoding).commit(chosen, ranking, sure=sure)


def _own(decoding: Decoding) -> LavidaAnswer:
    answer = decoding.answer
    assert isinstance(answer, LavidaAnswer)
    return answer
