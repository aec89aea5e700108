"""The loop: step by step over all unfinished sequences of a batch, whatever the way of decoding."""

import contextlib
import time
from collections.abc import Sequence

import torch

from saccade.backbones.decoding.finite import OPTIONS, FiniteWatch, first_not_finite, refused
from saccade.backbones.decoding.grouping import forward_groups
from saccade.backbones.decoding.outcome import GroupForward, Outcome, achieved, counted, fetched
from saccade.backbones.decoding.prompt_rows import can_cut, prompt_of
from saccade.backbones.decoding.rules import sure_positions
from saccade.backbones.decoding.scheme import Scheme
from saccade.backbones.decoding.snapshot import snapshot_maker
from saccade.backbones.decoding.step_view import Callback, StepView
from saccade.backbones.execution.key_layout import KnownKeys
from saccade.backbones.execution.plan_hook import PlanHook
from saccade.backbones.execution.sequence import SequenceState
from saccade.backbones.execution.step_context import Count, Span, StepContext
from saccade.backbones.network.cache import Reader, Recorder, Stack
from saccade.backbones.network.network import Network
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.errors import PlanError, SaccadeError
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.step_record import StepRecord
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
        self._dtype = network.model.image_newline.dtype
        self._known = KnownKeys()
        self._watch: FiniteWatch | None = None
        self._stacks: dict[tuple[int, ...], dict[int, Stack]] = {}

    @torch.inference_mode()
    def run(self, sequences: Sequence[SequenceState]) -> None:
        """Step until every answer is done; results are left in `sequences`."""
        while running := [own for own in sequences if not own.answer.done]:
            self._step(running)

    def _step(self, running: list[SequenceState]) -> None:
        started = time.perf_counter()
        if self.session is not None and len(running) > 1:
            self.session.foresee({own.number: own.state for own in running})
        contexts = [self._context(sequence) for sequence in running]
        groups = [self._checked(group) for group in forward_groups(contexts, self._n_layers)]
        used = {_numbers(group.contexts) for group in groups}
        self._stacks = {key: stacks for key, stacks in self._stacks.items() if key in used}
        outcomes = fetched(groups)
        seconds = time.perf_counter() - started
        for group, outcome in zip(groups, outcomes, strict=True):
            wrong = first_not_finite(outcome)
            if wrong is not None:
                what = self._traced(group.contexts).found or OPTIONS
                raise refused(group.contexts, wrong, self._dtype, what)
            for i in range(len(group.contexts)):
                self._finish(group, outcome, i, seconds)

    def _context(self, sequence: SequenceState) -> StepContext:
        """What a sequence's policy plans for this step, and what it forwards and shows then."""
        state, session, number = sequence.state, self.session, sequence.number
        plan = Plan() if session is None else session.plan(number, state)
        refresh = sequence.cache is None or plan.refresh or not can_cut(sequence, plan, session)
        context = StepContext(sequence, state, plan, self.scheme.next_span(sequence, refresh))
        if session is not None:
            context.watched = session.watches(number, state)
            context.accumulates = session.accumulates(number, plan, sequence.n_visual)
        return context

    def _checked(self, contexts: list[StepContext]) -> GroupForward:
        """A forward; where a pruner cannot choose because states are no numbers, that is said."""
        try:
            return self._forward(contexts)
        except PlanError as error:
            watch = self._traced(contexts)
            if not watch.found:
                raise
            what = f"{watch.found}, so that no visual tokens can be chosen"
            raise refused(contexts, watch.row % len(contexts), self._dtype, what) from error

    def _forward(self, contexts: list[StepContext]) -> GroupForward:
        """One forward for sequences that share it, after their prompts' own if need be."""
        span = contexts[0].span
        if span.prefill:
            self._prefill(contexts)
        memory = self._memory(contexts)
        hook = self._hook(contexts, memory if isinstance(memory, Reader) else None)
        ran = self._run(self._rows(contexts), hook, memory)
        self._remember(contexts, memory, hook)
        hidden = self.scheme.rows(ran.last(self.scheme.last(span)), span)
        logits = self.network.logits(hidden)
        if self._watch is not None:
            self._watch.note(logits, logits.new_ones(1, 1) > 0, "the output head")
        proposal = self.scheme.choose(logits, [context.sequence for context in contexts], span)
        for i, context in enumerate(contexts):
            whole = self._whole(context.span, hidden.shape[1])
            context.counts.append(counted(hook, i, whole))
        self._show(hook, ran)
        return GroupForward.of(contexts, hook, proposal)

    def _run(
        self, rows: TokenStates, hook: PlanHook | None, memory: Reader | Recorder | None
    ) -> TokenStates:
        """Run the layers, under the eyes of the watch if there is one."""
        watch = self._watch
        if watch is None:
            return self.network.run(rows, hook, memory)
        watch.hook = hook
        ran = self.network.run(rows, watch, memory)
        watch.look(ran, f"layer {self._n_layers - 1}")
        return ran

    def _traced(self, contexts: Sequence[StepContext]) -> FiniteWatch:
        """Run a forward again, after which nothing else runs, and see where it goes wrong."""
        self._watch = watch = FiniteWatch(None)
        with contextlib.suppress(SaccadeError):
            self._forward(list(contexts))
        return watch

    def _prefill(self, contexts: list[StepContext]) -> None:
        """Run prompts on their own and cache them; at first the scheme reads their last row."""
        prompts = [prompt_of(own.sequence, own.plan, self.session) for own in contexts]
        lengths = [len(prompt) for prompt in prompts]
        memory, hook = Recorder(lengths), self._hook([own.of_prompt() for own in contexts], None)
        padded = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
        ran = self._run(TokenStates.of(padded, lengths), hook, memory)
        self._show(hook, ran)
        self._remember(contexts, memory, hook)
        for i, (context, length) in enumerate(zip(contexts, lengths, strict=True)):
            context.sequence.age = 0  # the answer's own forward has not read it yet
            layers, first = (length,) * self._n_layers, context.state.step == 0
            context.counts.append(counted(hook, i, Count(layers, layers, head=int(first))))
        fresh = [i for i, context in enumerate(contexts) if context.state.step == 0]
        if fresh:
            tokens = self._first_tokens(ran.last(1)[fresh, 0], [contexts[i] for i in fresh])
            for i, token in zip(fresh, tokens, strict=True):
                contexts[i].begun = self.scheme.begin(contexts[i].sequence, token)
                contexts[i].sequence.transfers += 1

    def _first_tokens(self, hidden: torch.Tensor, fresh: list[StepContext]) -> list[int]:
        """The best token behind each prompt, of its last row (B, D)."""
        logits = self.network.logits(hidden)
        finite = logits.logsumexp(-1).isfinite()
        tokens: list[int] = logits.argmax(-1).masked_fill(~finite, -1).tolist()
        if self._watch is not None:
            self._watch.note(logits[:, None], logits.new_ones(1, 1) > 0, "the output head")
            return [max(0, token) for token in tokens]
        if -1 in tokens:
            own = [fresh[tokens.index(-1)]]
            raise refused(own, 0, self._dtype, self._traced(own).found)
        return tokens

    def _show(self, hook: PlanHook | None, ran: TokenStates) -> None:
        """Let the session keep what pruners may ask of this step in the next one."""
        if hook is not None:
            for i, context in enumerate(hook.contexts):
                if context.accumulates:
                    hook.session.show(context.number, hook.shown(i, ran))

    def _memory(self, contexts: list[StepContext]) -> Reader | Recorder | None:
        """Where the forward finds cached keys and values, or leaves its own."""
        span = contexts[0].span
        if span.start:
            caches = [own.sequence.cache for own in contexts if own.sequence.cache is not None]
            left = self.scheme.appends - len(contexts[0].sequence.answer.ids) + 1
            append = left if self.scheme.appends else 0
            stacks = self._stacks.setdefault(_numbers(contexts), {})
            return Reader(caches, span.stop - span.start, append, stacks)
        return Recorder([context.span.keep for context in contexts]) if span.keep else None

    def _remember(
        self,
        contexts: list[StepContext],
        memory: Reader | Recorder | None,
        hook: PlanHook | None,
    ) -> None:
        if memory is None:
            return
        for i, context in enumerate(contexts):
            if hook is not None:
                hook.leave_shape(i, memory.caches[i])
            if isinstance(memory, Recorder):
                context.sequence.cache, context.sequence.age = memory.caches[i], 0
            context.sequence.age += 1

    def _hook(self, contexts: Sequence[StepContext], memory: Reader | None) -> PlanHook | None:
        """What carries out the plans of a forward; None if there is nothing to do and to see."""
        if self.session is None or not any(
            own.plan.drops or own.plan.bypass or own.watched or own.accumulates for own in contexts
        ):
            return None
        return PlanHook(self.session, contexts, self.network, memory, self._known)

    def _rows(self, contexts: list[StepContext]) -> TokenStates:
        """Embedded rows of the answer's forward, with those of the prompt where it has them."""
        embed = self.network.model.embed_tokens
        ids = torch.stack([own.response_ids for own in contexts])  # of equal lengths in a group
        responses = embed(ids.to(embed.weight.device))
        sequences = [
            torch.cat([prompt_of(own.sequence, own.plan, self.session)[own.span.start :], response])
            for own, response in zip(contexts, responses, strict=True)
        ]
        if self.scheme.copies > 1:
            mask = embed.weight[self.spec.mask_id]
            for own, sequence in zip(contexts, tuple(sequences), strict=True):
                n = len(own.inputs)
                sequences.append(torch.cat([mask.expand(n, -1), sequence[n:]]))
        hidden = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
        starts = [own.span.start for own in contexts] * self.scheme.copies
        return TokenStates.of(hidden, [len(sequence) for sequence in sequences], starts)

    def _whole(self, span: Span, head: int) -> Count:
        """Count of a forward from which nothing is dropped."""
        rows, keys = (span.stop - span.start,) * self._n_layers, (span.stop,) * self._n_layers
        return Count(rows, keys, head, self.scheme.copies)

    def _finish(self, group: GroupForward, outcome: Outcome, i: int, seconds: float) -> None:
        """Commit what a forward proposed for one sequence, and record the step."""
        context, first = group.contexts[i], group.contexts[i].span.first
        sequence, answer = context.sequence, context.sequence.answer
        eligible, chosen = answer.eligible(), outcome.chosen(i, first)
        ranking = outcome.rank(i, first).masked_fill(~eligible, float("-inf"))
        rule, sure = context.plan.commit, None
        if rule is not None:
            sure = sure_positions(rule, outcome.confidence(i, first), eligible)
        masked = answer.masked
        commit = self.scheme.commit(sequence, chosen, ranking, context.span, sure)
        committed = (*context.begun, *commit.filled)
        signals = outcome.signals(i, context, masked, len(committed))
        if self.session is not None:
            self.session.observe(sequence.number, signals)
            if not context.accumulates:
                self.session.settle(sequence.number)
        record = StepRecord(
            state=context.state,
            plan=context.plan,
            signals=signals,
            committed=committed,
            tokens=tuple(answer.ids.tolist()),
            refreshed=context.span.refreshes,
            seconds=seconds,
            batch=len(group.contexts),
            **achieved(context, group.hook, i, self.spec.geometry),
        )
        sequence.records.append(record)
        sequence.transfers += 1
        if self.callback is not None:
            scores, step = group.proposal.scores[i], context.state.step
            make = snapshot_maker(self.network, self.spec, self.scheme, sequence, self.session)
            view = StepView(sequence.number, step, scores, chosen, ranking, commit, record, make)
            self.callback(view)


def _numbers(contexts: Sequence[StepContext]) -> tuple[int, ...]:
    return tuple(context.number for context in contexts)
