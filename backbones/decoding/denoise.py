"""The denoising loop: one forward a step over all unfinished sequences of a batch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Answer, Commit
from saccade.backbones.decoding.sampling import (
    forbid,
    guided,
    gumbel_scores,
    random_confidence,
    response_noise,
)
from saccade.backbones.decoding.settings import GenerateSettings
from saccade.backbones.execution import Active, PlanHook
from saccade.backbones.network import Network
from saccade.backbones.prepare import Prepared
from saccade.backbones.rows import Rows
from saccade.controller.cost import forward_macs, paper_macs
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.signals import confidence_and_entropy
from saccade.controller.trace import StepRecord
from saccade.controller.types import PROMPT, RESPONSE, VISUAL, BackboneSpec, Signals


@dataclass(frozen=True, slots=True, eq=False)
class StepView:
    """What a callback sees after a step of one sequence; all on the host but the logits.

    Attributes
    ----------
    sequence, step : int
    logits : Tensor (R, V) float32
        Of the response rows, forbidden ids at -inf where masked. If temperature > 0 the noisy
        scores of `gumbel_scores`, float64.
    chosen : Tensor (R,) int64
        Candidate id at every response position.
    confidence : Tensor (R,)
        Of the candidates, float64, or random float32 numbers with ``remasking="random"``; -inf
        where not eligible.
    commit : Commit
    record : StepRecord
    """

    sequence: int
    step: int
    logits: Tensor
    chosen: Tensor
    confidence: Tensor
    commit: Commit
    record: StepRecord


Callback = Callable[[StepView], None]


@dataclass(slots=True, eq=False)
class Decoding:
    """One sequence while it is denoised: inputs, answer, random numbers, records."""

    number: int
    inputs: Prepared
    answer: Answer
    generator: torch.Generator | None
    seed: int
    records: list[StepRecord] = field(default_factory=list)
    transfers: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of a forward for the unfinished sequences, on the host.

    Attributes
    ----------
    chosen : Tensor (B, R) int64
    confidence, entropy : Tensor (B, R) float64
    rank : Tensor (B, R)
        What decides which positions are committed first: the confidences, or random numbers.
    masses : Tensor (B, n_layers, 3)
        Attention on prompt, visual and response; NaN where not probed.
    """

    chosen: Tensor
    confidence: Tensor
    entropy: Tensor
    rank: Tensor
    masses: Tensor

    def signals(self, i: int, masked: Tensor) -> Signals:
        """Signals of sequence `i`, whose positions `masked` (R,) were masked."""
        masses = self.masses[i].float()
        probed = not bool(masses.isnan().all())
        return Signals(
            attention_prompt=masses[:, PROMPT] if probed else None,
            attention_visual=masses[:, VISUAL] if probed else None,
            attention_response=masses[:, RESPONSE] if probed else None,
            confidence=self.confidence[i],
            entropy=self.entropy[i],
            masked=masked,
        )


class Achieved(TypedDict):
    """Fields of a `StepRecord` that say what a forward really computed."""

    visual_per_layer: tuple[int, ...]
    rows_per_layer: tuple[int, ...]
    kept: tuple[int, ...]
    macs: int
    macs_paper: int


class Denoiser:
    """Denoises a batch of prepared requests with common settings.

    Parameters
    ----------
    network : Network
    spec : BackboneSpec
        With the mask and forbidden ids of this call.
    settings : GenerateSettings
    session : Session or None
        None runs the bare model: nothing is planned, no attention is measured.
    """

    def __init__(
        self,
        network: Network,
        spec: BackboneSpec,
        settings: GenerateSettings,
        session: Session | None,
        callback: Callback | None = None,
    ) -> None:
        self.network, self.spec, self.settings = network, spec, settings
        self.session, self.callback = session, callback

    @torch.inference_mode()
    def run(self, decodings: Sequence[Decoding]) -> None:
        """Step until every answer is done; results are left in `decodings`."""
        while running := [d for d in decodings if not d.answer.done]:
            self._step(running)

    def _step(self, running: list[Decoding]) -> None:
        started = time.perf_counter()
        actives = [self._active(decoding) for decoding in running]
        hook = None if self.session is None else PlanHook(self.session, actives)
        logits = self._forward(running, hook)
        masked = torch.stack([decoding.answer.masked for decoding in running])
        logits = forbid(logits, masked.to(logits.device), self.spec.forbidden_ids)
        scores, outcome = self._choose(running, logits, hook)
        seconds = time.perf_counter() - started
        for i, decoding in enumerate(running):
            signals = outcome.signals(i, decoding.answer.masked)
            chosen, state = outcome.chosen[i], decoding.answer.state
            ranking = outcome.rank[i].masked_fill(~decoding.answer.eligible(), float("-inf"))
            commit = decoding.answer.commit(chosen, ranking)
            if self.session is not None:
                self.session.observe(decoding.number, signals)
            achieved = self._achieved(decoding, hook, i)
            record = StepRecord(
                state=state,
                plan=actives[i].plan,
                signals=signals,
                committed=commit.filled,
                tokens=tuple(decoding.answer.ids.tolist()),
                seconds=seconds,
                batch=len(running),
                **achieved,
            )
            decoding.records.append(record)
            decoding.transfers += 1 + (0 if hook is None else hook.transfers[i])
            if self.callback is not None:
                view = StepView(
                    decoding.number, state.step, scores[i], chosen, ranking, commit, record
                )
                self.callback(view)

    def _active(self, decoding: Decoding) -> Active:
        state, number = decoding.answer.state, decoding.number
        plan = Plan() if self.session is None else self.session.plan(number, state)
        response = len(decoding.answer.ids)
        return Active(number, decoding.inputs, plan, state.step, decoding.seed, response)

    def _forward(self, running: list[Decoding], hook: PlanHook | None) -> Tensor:
        """One forward over prompt and response; logits (B, R, V) of the response rows only."""
        embed = self.network.model.embed_tokens
        device = embed.weight.device
        response = embed(torch.stack([d.answer.ids for d in running]).to(device))
        prompts = [d.inputs.embeds for d in running]
        sequences = [torch.cat(pair) for pair in zip(prompts, response, strict=True)]
        if self.settings.cfg_scale > 0:
            mask = embed.weight[self.spec.mask_id]
            blind = [mask.expand_as(prompt) for prompt in prompts]
            sequences += [torch.cat(pair) for pair in zip(blind, response, strict=True)]
        hidden = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
        rows = Rows.of(hidden, [len(s) for s in sequences])
        logits = self.network.logits(self.network.run(rows, hook).last(response.shape[1]))
        return guided(logits, self.settings.cfg_scale) if self.settings.cfg_scale > 0 else logits

    def _choose(
        self, running: list[Decoding], logits: Tensor, hook: PlanHook | None
    ) -> tuple[Tensor, Outcome]:
        """Candidates and signals, brought to the host in one transfer."""
        scores = logits
        if self.settings.temperature > 0:
            shape, device = (logits.shape[1], logits.shape[2]), logits.device
            noise = torch.stack(
                [response_noise(shape, len(d.inputs), d.generator, device) for d in running]
            )
            scores = gumbel_scores(logits, noise, self.settings.temperature)
        chosen = scores.argmax(-1)
        confidence, entropy = confidence_and_entropy(logits, chosen)
        n_layers = self.spec.geometry.n_layers
        empty = torch.full((len(running), n_layers, 3), torch.nan)
        masses = (empty if hook is None else hook.masses(n_layers)).to(logits.device)
        parts = [chosen.double(), confidence, entropy, masses.double().flatten(1)]
        random = self.settings.remasking == "random"
        if random:
            parts.append(self._random_ranks(running, chosen).double())
        host = torch.cat(parts, dim=1).cpu()
        tables = host.split([part.shape[1] for part in parts], dim=1)
        return scores, Outcome(
            chosen=tables[0].long(),
            confidence=tables[1],
            entropy=tables[2],
            rank=tables[4].float() if random else tables[1],
            masses=tables[3].unflatten(1, (n_layers, 3)),
        )

    @staticmethod
    def _random_ranks(running: list[Decoding], chosen: Tensor) -> Tensor:
        """Random numbers (B, R) from every sequence's own generator, on the device of `chosen`."""
        rows, device = chosen.shape[1], chosen.device
        return torch.stack(
            [random_confidence(rows, len(d.inputs), d.generator, device) for d in running]
        )

    def _achieved(self, decoding: Decoding, hook: PlanHook | None, i: int) -> Achieved:
        """What the forward really computed for one sequence."""
        geometry = self.spec.geometry
        n, response = len(decoding.inputs.visual_positions), len(decoding.answer.ids)
        if hook is None:
            visual = [n] * geometry.n_layers
            rows = [len(decoding.inputs) + response] * geometry.n_layers
            kept = tuple(range(n))
        else:
            visual, rows, kept = hook.visual_counts[i], hook.row_counts[i], hook.kept[i]
        copies = 2 if self.settings.cfg_scale > 0 else 1
        return Achieved(
            visual_per_layer=tuple(visual),
            rows_per_layer=tuple(rows),
            kept=kept,
            macs=copies * forward_macs(geometry, rows, response),
            macs_paper=copies * paper_macs(geometry, rows),
        )
