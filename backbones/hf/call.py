"""One generate call under control: hooks while it lasts, steps, signals, records."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from saccade.backbones.hf.kept_cache import adopt, copied, empty, kept_cache, layers_of, release
from saccade.backbones.hf.kinds import Kind
from saccade.backbones.hf.measured import Measured
from saccade.backbones.hf.recording import Work, record_of, signals_of, tables_of
from saccade.backbones.hf.row_hooks import RowHooks
from saccade.backbones.hf.sequence import CallSequence, Step
from saccade.backbones.hf.steering import Resting, Steering, fits
from saccade.backbones.hf.tower_work import TowerWork
from saccade.backbones.hf.watching import named, watched_by
from saccade.controller.cost import forward_macs, paper_macs
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.trace import Trace
from saccade.controller.types import BackboneSpec, StepState, round_keep
from saccade.controller.view_fields import OF_THE_PROMPT

BARE = Plan()
_current: ContextVar["ControlledCall | None"] = ContextVar("saccade_call", default=None)


class ControlledCall:
    """Hooks and state of one call; use it as a context manager around the model's own generate.

    Parameters
    ----------
    model : PreTrainedModel
    kind : Kind
    spec : BackboneSpec
    session : Session
    sequences : sequence of CallSequence
    cache : Cache or None
        One that the caller gave.

    Attributes
    ----------
    cache : Cache
        What the model's generate is given as ``past_key_values``.
    """

    def __init__(
        self,
        model: Any,
        kind: Kind,
        spec: BackboneSpec,
        session: Session,
        sequences: Sequence[CallSequence],
        cache: Cache | None,
    ) -> None:
        self.model, self.kind, self.spec, self.session = model, kind, spec, session
        self.sequences = sequences
        self.encoder: nn.Module = attrgetter(kind.encoder)(model)
        self.decoder: nn.Module = attrgetter(kind.decoder)(model)
        self.cache = kept_cache(model.config) if cache is None else adopt(cache, model.config)
        for layer in layers_of(self.cache):
            layer.steered = True
        self.past = copied(self.cache) if self.cache.get_seq_length() else None
        self.steps: list[Step] = []
        self.forward: Steering | Resting = Resting()
        self.work = [Work() for _ in sequences]
        self.tower = TowerWork(model, (self.encoder, self.decoder))
        self._passes: list[tuple[Any, dict[str, Any]]] = []
        self._numbers: dict[nn.Module, int] = {}
        self._stack = ExitStack()
        self._started = time.perf_counter()

    # The length of the call.

    def __enter__(self) -> Self:
        try:
            self._enter(self._stack)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._stack.close()
        finally:
            release(self.cache)

    def _enter(self, stack: ExitStack) -> None:
        token = _current.set(self)
        stack.callback(_current.reset, token)
        for pile in {self.encoder, self.decoder}:
            own = list(pile.layers)  # type: ignore[arg-type]
            writes = pile is self.encoder
            stack.enter_context(RowHooks(own, self._director, writes))
            self._numbers |= {layer.self_attn: i for i, layer in enumerate(own)}
        self._hook(stack, self.encoder, self._before_encoder)
        stack.enter_context(named(self._numbers))
        self.tower.enter(stack)
        stack.enter_context(watched_by(self._watch))

    def _hook(
        self, stack: ExitStack, module: nn.Module, tell: Callable[[Any, dict[str, Any]], None]
    ) -> None:
        """Have a module tell before it runs in this call."""

        def hook(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            if _current.get() is self:
                tell(args, kwargs)

        handle = module.register_forward_pre_hook(hook, with_kwargs=True)
        stack.callback(handle.remove)

    @property
    def here(self) -> bool:
        """Whether this is the call that runs now: other threads may use the same model."""
        return _current.get() is self

    def _director(self) -> "Steering | Resting | None":
        return self.forward if self.here else None

    # Steps.

    def _before_encoder(self, args: Any, kwargs: dict[str, Any]) -> None:
        """Told before the pile that fills the cache runs."""
        raise NotImplementedError

    def _remember_inputs(self, kwargs: Mapping[str, Any]) -> None:
        """Keep what enters the language model, for views."""
        embeds: Tensor = kwargs["inputs_embeds"]
        for own, rows in zip(self.sequences, embeds, strict=True):
            own.features = rows[(own.visual - own.first).to(rows.device)]
            own.text = rows[(own.words - own.first).to(rows.device)]

    def _plan(self, states: Sequence[StepState], masked: Sequence[Tensor]) -> None:
        """Ask for the plans of a step; what is done keeps what it read last."""
        self._started = time.perf_counter()
        running = [own for own in self.sequences if not own.done]
        if len(running) > 1 and self.steps:
            self.session.foresee({own.number: states[own.number] for own in running})
        made = []
        for own, state, open_ in zip(self.sequences, states, masked, strict=True):
            if own.done:
                last = self.steps[own.number]
                made.append(Step(last.state, last.plan, last.masked))
                continue
            plan = self.session.plan(own.number, state)
            watched = self.session.watches(own.number, state)
            asks = self.session.accumulates(own.number, plan, own.n_visual)
            made.append(Step(state, plan, open_, watched, asks))
        before, self.steps = self.steps, made
        again = [own.number for own in running if before and self._wants(own, before[own.number])]
        if again:
            self._compute_again(again)

    def _wants(self, own: CallSequence, before: Step) -> bool:
        """Whether a sequence's plan needs the prompt to be computed again."""
        step = self.steps[own.number]
        if step.plan.refresh or not fits(self.session, layers_of(self.cache), own, step):
            return True
        if step.plan.drops == before.plan.drops or not self.session.needs & OF_THE_PROMPT:
            return False
        counts = [round_keep(drop.keep, own.n_visual) for drop in step.plan.drops]
        return any(
            0 < n < own.n_visual and self.session.remembered(own.number, n) is None for n in counts
        )

    def _compute_again(self, which: Sequence[int]) -> None:
        """Run the prompt, and what came after it, once more under the plans of some sequences;
        what is cached of the others stays."""
        fresh = empty(self.cache) if self.past is None else copied(self.past)
        steps = [
            step if i in which else Step(step.state, BARE, step.masked)
            for i, step in enumerate(self.steps)
        ]
        for number, (args, kwargs) in enumerate(self._passes):
            self.forward = (
                Resting() if number else self._steering(steps, fresh, self._prompt_rows, None)
            )
            self.encoder.forward(*args, **{**kwargs, "past_key_values": fresh})
            for i in which:
                self._count(i, 0)
        chosen = [i in which for i in range(len(self.sequences))]
        for layer, new in zip(layers_of(self.cache), layers_of(fresh), strict=True):
            if all(chosen):
                vars(layer).update(vars(new))
            else:
                layer.show()
                layer.taken(new, chosen)
        for i in which:
            self.steps[i].refreshed, self.sequences[i].age = True, 0

    _prompt_rows = 1
    """Rows at the end of a prompt that stand for the answer's where it runs on its own."""

    def _steering(
        self, steps: Sequence[Step], cache: Cache, queries: int, measured: Measured | None
    ) -> Steering:
        norm = self.encoder.norm
        assert isinstance(norm, nn.Module)
        left = {} if cache is not self.cache else self._left(steps)
        return Steering(
            self.session, self.sequences, steps, layers_of(cache), norm, queries, measured, left
        )

    def _left(self, steps: Sequence[Step]) -> dict[int, Tensor]:
        """What the step before left of the visual tokens, where a plan does not choose anew."""
        return {
            own.number: torch.tensor(own.records[-1].kept, dtype=torch.int64)
            for own, step in zip(self.sequences, steps, strict=True)
            if own.records and not step.plan.reselect and not step.refreshed
        }

    def _measured(self, queries: int) -> Measured:
        device = self.model.device
        n_layers = self.spec.geometry.n_layers
        return Measured(self.sequences, self.steps, n_layers, queries, device)

    def _watch(
        self, module: nn.Module, q: Tensor, k: Tensor, mask: Tensor | None, scale: float | None
    ) -> None:
        """Told of every attention in this call."""
        layer = self._numbers.get(module)
        if layer is None:
            self.tower.attended(module, q, k)
        elif self.forward.watches(layer):
            causal = bool(getattr(module, "is_causal", True))
            self.forward.on_attention(layer, q, k, mask, scale, causal)

    def _count(self, i: int, head: int, extra: int = 0) -> None:
        """Add what the present forward computed of a sequence, with so many rows of the head."""
        counted, own, geometry = self.forward.counted, self.sequences[i], self.spec.geometry
        _, rows, keys = counted.of(own)
        work = self.work[i]
        work.rows.append(rows)
        work.keys.append(keys)
        work.macs += forward_macs(geometry, rows, head, keys) + extra
        work.macs_paper += paper_macs(geometry, rows, keys)

    def _finish(
        self,
        logits: Tensor,
        chosen: Tensor,
        committed: Sequence[tuple[int, ...]],
        new_block: bool = False,
    ) -> None:
        """Tell the policies what a step showed, and record it.

        `logits` (B, R, V) and `chosen` (B, R) are of all sequences; `committed` are positions of
        the answer that received their token, and ``tokens`` of the sequences hold them already.
        """
        forward = self.forward
        assert isinstance(forward, Steering) and forward.measured is not None
        measured = forward.measured
        tables = tables_of(logits, chosen, measured, self.session.measuring.kinds)
        seconds, batch = time.perf_counter() - self._started, len(self.sequences)
        for own, step, filled in zip(self.sequences, self.steps, committed, strict=True):
            if own.done:
                continue
            signals = signals_of(own, step, tables, len(filled), new_block)
            self._show(own, step, measured)
            self.session.observe(own.number, signals)
            if not step.accumulates:
                self.session.settle(own.number)
            own.transfers += 1
            work = self.work[own.number]
            own.records.append(record_of(own, step, forward, work, signals, filled, seconds, batch))
            own.age += 1
            self.work[own.number] = Work()

    def _show(self, own: CallSequence, step: Step, measured: Measured) -> None:
        if step.accumulates and "rows:before" in self.session.needs:
            i = own.number
            self.session.show(i, {"rows:before": lambda: measured.rows(i)})

    # The end.

    def traces(self) -> tuple[Trace, ...]:
        """What happened, of every sequence."""
        total = sum(own.n_visual for own in self.sequences)
        return tuple(
            Trace(
                tuple(own.records),
                own.n_visual,
                self.tower.macs * own.n_visual // total if total else 0,
                own.transfers,
            )
            for own in self.sequences
        )
