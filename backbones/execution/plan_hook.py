"""Carrying out plans inside a forward: drops before layers, and attention measured on the way."""

from collections.abc import Sequence

import numpy as np
import torch

from saccade.backbones.execution.bypass import Bypass
from saccade.backbones.execution.counts import Counts
from saccade.backbones.execution.key_layout import KeyLayout, KnownKeys
from saccade.backbones.execution.probe import Probe, ProbeResult
from saccade.backbones.execution.pruner_inputs import PrunerInputs
from saccade.backbones.execution.row_updates import row_update, with_updates
from saccade.backbones.execution.step_context import StepContext
from saccade.backbones.network.cache import Cache, Reader
from saccade.backbones.network.decoder import Attended
from saccade.backbones.network.network import Network
from saccade.backbones.network.places import Places, among, run_of
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.attach import check_choice
from saccade.controller.errors import PlanError
from saccade.controller.session import Session, Shown, StoredSelection
from saccade.controller.types import round_keep


class _Reduction:
    """What became of one sequence's visual tokens in this forward.

    Attributes
    ----------
    kept : int64 array
        Numbers of the visual tokens that are left.
    lost : int64 array or None
        Original positions of those that are gone; None while no plan took any.
    chosen : StoredSelection or None
        Made, or remembered, before the present layer.
    applied : StoredSelection or None
        The last one whose sums and features are in the rows.
    """

    __slots__ = ("kept", "lost", "chosen", "applied")

    def __init__(self, kept: Places) -> None:
        self.kept = kept
        self.lost: Places | None = None
        self.chosen: StoredSelection | None = None
        self.applied: StoredSelection | None = None


class PlanHook:
    """Executes the plans of one forward, and measures what their contexts ask for.

    Where the prompt's rows are forwarded, what is dropped are rows; where it is cached (`memory`),
    cached keys and values. With guidance the batch holds every sequence twice; both copies lose the
    same rows, and only the first is measured.

    Parameters
    ----------
    session : Session
    contexts : sequence of StepContext
        Of the sequences of the forward.
    network : Network
    memory : Reader or None
        What is cached; None where the prompt is forwarded.
    known : KnownKeys, optional
        What earlier forwards of the call know of keys.

    Attributes
    ----------
    acts : bool
        Whether there may be anything to change; else it only measures, and nothing is counted.
    counts : Counts
        ACHIEVED visual tokens, rows and keys per layer of each sequence, where it acts.
    """

    def __init__(
        self,
        session: Session,
        contexts: Sequence[StepContext],
        network: Network,
        memory: Reader | None = None,
        known: KnownKeys | None = None,
    ) -> None:
        self.session, self.contexts, self.memory = session, contexts, memory
        self.counts = Counts(contexts)
        self._drops = any(context.plan.drops for context in contexts)
        self._bypass = Bypass(contexts)
        self._bypasses = any(context.plan.bypass for context in contexts)
        self.acts = memory is not None or self._drops or self._bypasses
        self._reductions = [_Reduction(self._there(i)) for i in range(len(contexts))]
        self._inputs = PrunerInputs(session.needs, contexts, network)
        accumulates = any(context.accumulates and context.answers for context in contexts)
        self._probe = Probe(
            contexts,
            session.spec.geometry.n_layers,
            session.measuring.kinds,
            accumulates and "rows:before" in session.needs,
            known or KnownKeys(),
        )
        self._layout: KeyLayout | None = None

    def kept(self, i: int) -> Places:
        """Numbers of the visual tokens of sequence `i` that reached the last layer."""
        return self._reductions[i].kept

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        """Drop visual tokens where a plan says so before this layer, and let others skip it."""
        if layer == 0:
            self._inputs.enter(rows)
        if not self.acts:
            return rows
        if self.memory is not None:
            rows = self._after_cuts(layer, rows, self.memory)
        else:
            if self._bypasses and layer == self.session.spec.geometry.n_layers - 1:
                for context in self.contexts:
                    if layer in context.plan.bypass:  # nothing brings them back behind it
                        self._check_words(context)
            drops = any(context.drop_before(layer) is not None for context in self.contexts)
            if drops or not self._bypass.unchanged(layer):
                rows = self._without_dropped(layer, self._bypass.back(rows))
                rows = self._bypass.aside(layer, rows)
        if not self.counts.add(rows, [] if self.memory is None else self.memory.places(layer)):
            self._layout = None
        return rows

    def watches(self, layer: int) -> bool:
        """Whether the attention of a layer is to be seen."""
        return self._probe.watches(layer) or self._pruner_asks(layer + 1)

    def on_attention(self, layer: int, rows: TokenStates, seen: Attended) -> None:
        """Measure the response rows' attention, and keep what a pruner at the next layer needs."""
        layout = self._layout_of(layer, rows)
        if self._pruner_asks(layer + 1):
            self._inputs.keep(rows, seen, layout)
        if self._probe.watches(layer):
            self._probe.add(layer, rows, seen, layout)

    def probed(self) -> ProbeResult:
        """What the answer's rows attended to."""
        return self._probe.result()

    def shown(self, i: int, ran: TokenStates) -> dict[str, Shown]:
        """What makes what the pruner may ask of this step in the next one, of sequence `i`."""
        out: dict[str, Shown] = {}
        if self._probe.by_row and self.contexts[i].answers:
            out["rows:before"] = lambda: self._probe.rows()[i]
        if "final:before" in self.session.needs and self.memory is None:
            final = self._inputs.final(i, ran)
            out["final:before"] = lambda: final
        return out

    def leave_shape(self, i: int, cache: Cache) -> None:
        """Leave in a cache what this forward's plan has made of it."""
        plan = self.contexts[i].plan
        cache.drops, cache.bypass = plan.drops, plan.bypass
        cache.kept = self._reductions[i].kept

    def _without_dropped(self, layer: int, rows: TokenStates) -> TokenStates:
        """Take out the rows that plans drop before a layer."""
        if not any([self._reduce(i, layer, rows) for i in range(len(self.contexts))]):
            return rows
        alive = rows.alive[: len(self.contexts)]
        places = [self._surviving(i, here) for i, here in enumerate(alive)]
        copies = len(rows.alive) // len(self.contexts)
        left = rows.take(places * copies, compact=self.session.positions == "compact")
        return self._updated(layer, rows, left)

    def _updated(self, layer: int, rows: TokenStates, left: TokenStates) -> TokenStates:
        """Let the tokens that stay become what the choices before this layer make of them."""
        updates = []
        for i, (context, own) in enumerate(zip(self.contexts, self._reductions, strict=True)):
            made = own.chosen
            if context.drop_before(layer) is None or made is None:
                continue
            selection = made.here if own.applied is made.before else made.whole
            own.applied = made
            updates.append(row_update(selection, context.inputs, rows, i))
        return with_updates(left, [update for update in updates if update is not None])

    def _after_cuts(self, layer: int, rows: TokenStates, memory: Reader) -> TokenStates:
        """Cut what plans drop before a layer from the caches of that layer; the rows stay."""
        for i, (context, own) in enumerate(zip(self.contexts, self._reductions, strict=True)):
            visual = context.inputs.visual_positions
            if context.plan.drops != memory.caches[i].drops:
                self._reduce(i, layer, rows)
            lost = visual if layer in context.plan.bypass else own.lost
            if lost is not None:
                memory.cut(layer, i, lost)
        if layer == 0 and self.session.positions == "compact":
            return rows.placed([len(places) for places in memory.places(layer)])
        return rows

    def _there(self, i: int) -> Places:
        """Numbers of the visual tokens that no plan took from the cache, or all."""
        cached = None if self.memory is None else self.memory.caches[i].kept
        return np.arange(self.contexts[i].sequence.n_visual) if cached is None else cached

    def _reduce(self, i: int, layer: int, rows: TokenStates) -> bool:
        """Choose which of the visual tokens that are there stay from this layer on; whether some
        go."""
        context, own = self.contexts[i], self._reductions[i]
        own.chosen, keep = None, context.drop_before(layer)
        if keep is None:
            return False
        visual, present = context.inputs.visual_positions, own.kept
        n = round_keep(keep, len(visual))
        if n > len(present) or (n == len(present) and self.memory is None):
            return False
        if n == 0 and self.memory is None:
            self._check_words(context)
        # Of what is cached the deepest layer may have as many as asked for, and others more.
        own.kept = present if n == len(present) else self._selected(i, layer, present, n, rows)
        gone = np.ones(len(visual), dtype=bool)
        gone[own.kept] = False
        own.lost = visual[gone]
        return True

    def _surviving(self, i: int, alive: Places) -> Places:
        """Places among the present rows that stay."""
        lost = self._reductions[i].lost
        return run_of(0, len(alive)) if lost is None else np.flatnonzero(~among(alive, lost))

    def _selected(self, i: int, layer: int, present: Places, n: int, rows: TokenStates) -> Places:
        """Numbers of the visual tokens that stay: as chosen before, or chosen now."""
        if n == 0:
            return np.zeros(0, dtype=np.int64)
        context, own = self.contexts[i], self._reductions[i]
        own.chosen = self._chosen_before(i, present, n)
        if own.chosen is None:
            check_choice(self.session.pruner, layer)  # before what it needs is looked for
            self._check_measured(i, layer)
            tower = context.inputs.tower
            spent = 0 if tower is None else tower.spent
            before = self.session.before[context.number]
            view = self._inputs.view(i, layer, present, rows, before)
            among = torch.from_numpy(present)
            own.chosen = self.session.select(context.number, view, n, among, own.applied)
            context.sequence.transfers += bool(self.session.needs - {"centers"})  # else on the host
            context.sequence.tower_macs += 0 if tower is None else tower.spent - spent
        return own.chosen.here.keep.numpy()

    def _check_words(self, context: StepContext) -> None:
        """Raise `PlanError` where a prompt of visual tokens alone would be lost, and the row before
        the answer decides its first token."""
        if self.session.spec.logit_shift and len(context.inputs) == context.sequence.n_visual:
            raise PlanError(
                "the plan takes all visual tokens of a prompt that holds nothing else, and the "
                "answer's first token is read from its last row; keep some, or ask a question"
            )

    def _check_measured(self, i: int, layer: int) -> None:
        """Raise `PlanError` where the pruner reads what was to be measured in a layer that visual
        tokens skipped."""
        if self._inputs.measures and layer - 1 in self.contexts[i].plan.bypass:
            raise PlanError(
                f"{self.session.pruner!r} reads what is measured in layer {layer - 1}, and the "
                f"plan lets visual tokens skip that; drop before another layer than {layer}"
            )

    def _chosen_before(self, i: int, present: Places, n: int) -> StoredSelection | None:
        """The choice of `n` tokens made earlier in this call, if all of them are still there."""
        before = self.session.remembered(self.contexts[i].number, n)
        if before is None or len(present) == self.contexts[i].sequence.n_visual:
            return before
        return before if among(before.here.keep.numpy(), present).all() else None

    def _pruner_asks(self, layer: int) -> bool:
        """Whether a sequence will choose by attention before `layer`, among the tokens there."""
        if not (self._drops and self._inputs.measures):
            return False
        for i, context in enumerate(self.contexts):
            keep = context.drop_before(layer)
            if keep is None or self._unchanged(i):
                continue
            present = self._reductions[i].kept
            n = round_keep(keep, context.sequence.n_visual)
            if 0 < n < len(present) and self._chosen_before(i, present, n) is None:
                return True
        return False

    def _unchanged(self, i: int) -> bool:
        """Whether what is cached is already what the plan leaves."""
        cached = self.memory
        return cached is not None and self.contexts[i].plan.drops == cached.caches[i].drops

    def _layout_of(self, layer: int, rows: TokenStates) -> KeyLayout:
        """Keys of a layer; those of the one before if it has the same."""
        if self._layout is None:
            if self.memory is None:
                self._layout = KeyLayout.of_rows(rows, len(self.contexts))
            else:
                self._layout = KeyLayout.of_cached(rows, self.memory, layer)
        return self._layout
