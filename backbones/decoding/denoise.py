"""The loop: step by step over all unfinished sequences of a batch, whatever the way of decoding."""

import dataclasses
import time
from collections.abc import Sequence

import torch

from saccade.backbones.decoding.grouping import forward_groups
from saccade.backbones.decoding.outcome import (
    Count,
    Outcome,
    achieved,
    counted,
    fetched,
    measured,
    probed,
    widened,
    with_history,
)
from saccade.backbones.decoding.prompt_rows import can_cut, prompt_of
from saccade.backbones.decoding.rules import sure_positions
from saccade.backbones.decoding.scheme import Decoding, Pass, Scheme
from saccade.backbones.decoding.step_view import Callback, StepView
from saccade.backbones.decoding.work import Group, Work, numbers, response_ids
from saccade.backbones.execution.active import Active
from saccade.backbones.execution.plan_hook import PlanHook
from saccade.backbones.network.cache import Reader, Recorder, Stack
from saccade.backbones.network.network import Network
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.trace import StepRecord
from saccade.controller.types import BackboneSpec


class Denoiser:
    """Decodes a batch of prepared requests with common settings.

    Parameters
    ----------
    network : Network
    spec : BackboneSpec
        With the mask and forbidden ids of this call.
    scheme : Scheme
        The way of decoding.
    session : Session or None
        None runs the bare model: nothing is planned, no attention is measured.
    callback : callable, optional
        Called with a `StepView` after every step of every sequence.
    """

    def __init__(
        self,
        network: Network,
        spec: BackboneSpec,
        scheme: Scheme,
        session: Session | None,
        callback: Callback | None = None,
    ) -> None:
        self.network, self.spec, self.scheme = network, spec, scheme
        self.session, self.callback = session, callback
        self._n_layers = spec.geometry.n_layers
        self._stacks: dict[tuple[int, ...], dict[int, Stack]] = {}

    @torch.inference_mode()
    def run(self, decodings: Sequence[Decoding]) -> None:
        """Step until every answer is done; results are left in `decodings`."""
        while running := [d for d in decodings if not d.answer.done]:
            self._step(running)

    def _step(self, running: list[Decoding]) -> None:
        started = time.perf_counter()
        work = [self._work(decoding) for decoding in running]
        groups = [self._forward(items) for items in forward_groups(work, self._n_layers)]
        used = {numbers(group.items) for group in groups}
        self._stacks = {key: stacks for key, stacks in self._stacks.items() if key in used}
        outcomes = fetched(
            [group.tables for group in groups],
            [group.choice for group in groups],
            self._n_layers,
        )
        seconds = time.perf_counter() - started
        for group, outcome in zip(groups, outcomes, strict=True):
            for i in range(len(group.items)):
                self._finish(group, outcome, i, seconds)

    def _work(self, decoding: Decoding) -> Work:
        state = decoding.answer.state
        if decoding.cache is not None:
            state = dataclasses.replace(state, cache_age=decoding.age)
        plan = Plan() if self.session is None else self.session.plan(decoding.number, state)
        refresh = (
            decoding.cache is None or plan.refresh or not can_cut(decoding, plan, self.session)
        )
        work = self.scheme.next_pass(decoding, refresh)
        active = Active(
            decoding.number,
            decoding.inputs,
            plan,
            state.step,
            decoding.seed,
            work.stop - len(decoding.inputs),
            work.queries,
            decoding.answer.masked,
            self.session is not None and self.session.watches(decoding.number, state),
        )
        return Work(decoding, state, active, work)

    def _forward(self, items: list[Work]) -> Group:
        """One forward for sequences that forward alike, after their prompts' own if need be."""
        work = items[0].work
        if work.prefill:
            self._prefill(items)
            for item in items:  # which may have committed a first position
                masked = item.decoding.answer.masked
                item.active = dataclasses.replace(item.active, masked=masked)
        memory = self._memory(items)
        reader = memory if isinstance(memory, Reader) else None
        hook = self._hook([item.active for item in items], reader)
        rows = self._rows(items)
        ran = self.network.run(rows, hook, memory)
        self._remember(items, memory, hook)
        hidden = self.scheme.rows(ran.last(self.scheme.last(work)), work)
        logits = self.network.logits(hidden)
        decodings = [item.decoding for item in items]
        choice = self.scheme.choose(logits, decodings, work)
        for i, item in enumerate(items):
            item.counts.append(counted(hook, i, self._whole(item.work, hidden.shape[1])))
            self._spend(item, hook, i)
        if hook is not None:
            hook.leave_seen(ran, [item.work.first for item in items], self._n_layers)
        seen = probed(hook, len(items), self._n_layers, logits.device)
        return Group(items, hook, choice, measured(choice, *seen))

    def _prefill(self, items: list[Work]) -> None:
        """Run prompts on their own and cache them; at first the scheme reads their last row."""
        prompts = [prompt_of(item.decoding, item.active.plan, self.session) for item in items]
        memory = Recorder([len(prompt) for prompt in prompts])
        actives = [dataclasses.replace(i.active, response=0, queries=1) for i in items]
        hook = self._hook(actives, None, probed=False)
        padded = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
        ran = self.network.run(TokenStates.of(padded, [len(p) for p in prompts]), hook, memory)
        if hook is not None:
            hook.leave_final(ran)
        for i, item in enumerate(items):
            item.decoding.cache, item.decoding.age = memory.caches[i], 0
            if hook is not None:
                hook.leave_shape(i, memory.caches[i])
            n, first = (len(prompts[i]),) * self._n_layers, item.state.step == 0
            item.counts.append(counted(hook, i, Count(n, n, head=int(first))))
            self._spend(item, hook, i)
        self._begin([item for item in items if item.state.step == 0], items, ran)

    def _spend(self, item: Work, hook: PlanHook | None, i: int) -> None:
        """Count what choosing tokens took."""
        if hook is not None:
            item.transfers += hook.transfers[i]
            item.decoding.tower_macs += hook.tower_macs[i]

    def _begin(self, fresh: list[Work], items: list[Work], ran: TokenStates) -> None:
        if not fresh:
            return
        places = [items.index(item) for item in fresh]
        last = self.network.logits(ran.last(1)[places, 0]).argmax(-1).tolist()
        for item, token in zip(fresh, last, strict=True):
            item.begun = self.scheme.begin(item.decoding, token)
            item.transfers += 1

    def _memory(self, items: list[Work]) -> Reader | Recorder | None:
        """Where the forward finds cached keys and values, or leaves its own."""
        work = items[0].work
        if work.start:
            caches = [item.decoding.cache for item in items if item.decoding.cache is not None]
            left = self.scheme.appends - len(items[0].decoding.answer.ids) + 1
            append = left if self.scheme.appends else 0
            stacks = self._stacks.setdefault(numbers(items), {})
            return Reader(caches, work.stop - work.start, append, stacks)
        return Recorder([item.work.keep for item in items]) if work.keep else None

    def _remember(
        self, items: list[Work], memory: Reader | Recorder | None, hook: PlanHook | None
    ) -> None:
        for i, item in enumerate(items):
            if memory is None:
                continue
            if hook is not None:
                hook.leave_shape(i, memory.caches[i])
            if isinstance(memory, Recorder):
                item.decoding.cache, item.decoding.age = memory.caches[i], 0
            item.decoding.age += 1

    def _hook(
        self, actives: Sequence[Active], memory: Reader | None, probed: bool = True
    ) -> PlanHook | None:
        if self.session is None or self._idle(self.session, actives, probed):
            return None
        return PlanHook(self.session, actives, memory, probed, self.network)

    def _idle(self, session: Session, actives: Sequence[Active], probed: bool) -> bool:
        """Whether a forward has nothing to carry out and nothing to measure."""
        if any(active.plan.drops or active.plan.bypass for active in actives):
            return False
        if any(session.accumulates(active.sequence) for active in actives):
            return False
        if not probed:
            return True
        if session.probe and any(active.watched for active in actives):
            return False
        return True

    def _rows(self, items: list[Work]) -> TokenStates:
        """Embedded rows of the answer's forward, with those of the prompt where it has them."""
        embed = self.network.model.embed_tokens
        ids = torch.stack([response_ids(item) for item in items])  # of equal lengths in a group
        sequences = [
            torch.cat(
                [
                    prompt_of(item.decoding, item.active.plan, self.session)[item.work.start :],
                    response,
                ]
            )
            for item, response in zip(items, embed(ids.to(embed.weight.device)), strict=True)
        ]
        if self.scheme.copies > 1:
            mask = embed.weight[self.spec.mask_id]
            for item, sequence in zip(items, tuple(sequences), strict=True):
                n = len(item.decoding.inputs)
                sequences.append(torch.cat([mask.expand(n, -1), sequence[n:]]))
        hidden = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
        starts = [item.work.start for item in items] * self.scheme.copies
        return TokenStates.of(hidden, [len(s) for s in sequences], starts)

    def _whole(self, work: Pass, head: int) -> Count:
        """Count of a forward from which nothing is dropped."""
        rows, keys = (work.stop - work.start,) * self._n_layers, (work.stop,) * self._n_layers
        return Count(rows, keys, head, self.scheme.copies)

    def _finish(self, group: Group, outcome: Outcome, i: int, seconds: float) -> None:
        """Commit what a forward proposed for one sequence, and record the step."""
        item, first = group.items[i], group.items[i].work.first
        decoding, answer = item.decoding, item.decoding.answer
        signals = outcome.signals(i, answer.masked, first, len(decoding.inputs.visual_positions))
        chosen = widened(outcome.chosen[i], first, -1)
        rank = widened(outcome.rank[i], first, float("-inf"))
        ranking = rank.masked_fill(~answer.eligible(), float("-inf"))
        rule, sure = item.active.plan.commit, None
        if rule is not None:
            confidence = torch.as_tensor(signals.confidence)
            sure = sure_positions(rule, confidence, answer.eligible())
        commit = self.scheme.commit(decoding, chosen, ranking, item.work, sure)
        signals = dataclasses.replace(signals, skipped=item.active.plan.bypass)
        signals = with_history(signals, decoding, len(item.begun) + len(commit.filled))
        if self.session is not None:
            self.session.observe(decoding.number, signals)
        record = StepRecord(
            state=item.state,
            plan=item.active.plan,
            signals=signals,
            committed=(*item.begun, *commit.filled),
            tokens=tuple(answer.ids.tolist()),
            refreshed=item.work.refreshes,
            seconds=seconds,
            batch=len(group.items),
            **achieved(decoding, group.hook, i, item.counts, self.spec.geometry),
        )
        decoding.records.append(record)
        decoding.transfers += item.transfers
        if self.callback is not None:
            scores = group.choice.scores[i]
            step = item.state.step
            view = StepView(decoding.number, step, scores, chosen, ranking, commit, record)
            self.callback(view)
