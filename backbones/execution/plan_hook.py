"""Carrying out plans inside a forward: drops before layers, and attention measured on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.execution.active import Active
from saccade.backbones.execution.bypass import Bypass
from saccade.backbones.execution.counts import Counts
from saccade.backbones.execution.key_layout import KeyLayout
from saccade.backbones.execution.probe import AccumulatedAttention, Probe, last_queries
from saccade.backbones.execution.pruner_inputs import Asked, PrunerInputs
from saccade.backbones.execution.row_updates import row_update, with_updates
from saccade.backbones.network.cache import Cache, Reader
from saccade.backbones.network.network import Network
from saccade.backbones.network.token_states import Places, TokenStates
from saccade.controller.attach import check_choice
from saccade.controller.errors import PlanError
from saccade.controller.session import Session, StoredSelection
from saccade.controller.signals import row_attention
from saccade.controller.types import round_keep


@dataclass(slots=True, eq=False)
class PlanHook:
    """Executes the plans of one forward and measures what the session asks for.

    Where the prompt's rows are forwarded, what is dropped are rows; where it is cached (`memory`),
    cached keys and values. With guidance the batch holds every sequence twice; both copies lose the
    same rows, and only the first is measured.

    Attributes
    ----------
    probed : bool
        Whether its attention is the answer's, which the session may ask for.
    probe : Probe
        What the answer's rows attended to.
    counts : Counts
        ACHIEVED visual tokens, rows and keys per layer of each sequence.
    kept : list of tuple of int
        Numbers of the visual tokens of each sequence that reached the last layer.
    transfers : list of int
        Copies to the host that each sequence's selections needed.
    tower_macs : list of int
        Multiply-accumulates of the vision tower that they needed.
    """

    session: Session
    actives: Sequence[Active]
    memory: Reader | None = None
    probed: bool = True
    network: Network | None = None
    kept: list[tuple[int, ...]] = field(default_factory=list)
    transfers: list[int] = field(default_factory=list)
    tower_macs: list[int] = field(default_factory=list)
    _lost: list[Places | None] = field(default_factory=list)
    _chosen: list[StoredSelection | None] = field(default_factory=list)
    _applied: list[StoredSelection | None] = field(default_factory=list)
    probe: Probe = field(init=False)
    _bypass: Bypass = field(init=False)
    _looks: AccumulatedAttention = field(default_factory=AccumulatedAttention)
    _glance: PrunerInputs = field(init=False)
    counts: Counts = field(init=False)
    _known: tuple[tuple[object, ...], KeyLayout] | None = None

    def __post_init__(self) -> None:
        n = len(self.actives)
        inputs = [active.inputs for active in self.actives]
        self.counts = Counts(inputs, [active.response for active in self.actives])
        self.kept = [tuple(self._there(i).tolist()) for i in range(n)]
        self.transfers, self._lost = [0] * n, [None] * n
        self.tower_macs, self._chosen, self._applied = [0] * n, [None] * n, [None] * n
        pruner = self.session.pruner
        needs = frozenset[str]() if pruner is None else pruner.needs
        self._glance = PrunerInputs(needs, self.actives[0].queries, self.network)
        self.probe = Probe(self.actives, self.session.tokens)
        self._bypass = Bypass(self.actives)

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        """Drop visual tokens where a plan says so before this layer, and let others skip it."""
        if layer == 0:
            self._glance.enter(rows)
        if self.memory is None:
            drops = any(self._keep_ratio(i, layer) is not None for i in range(len(self.actives)))
            if drops or not self._bypass.unchanged(layer):
                rows = self._without_dropped(layer, self._bypass.back(rows))
                rows = self._bypass.aside(layer, rows)
        else:
            rows = self._after_cuts(layer, rows, self.memory)
        self.counts.add(rows, [] if self.memory is None else self.memory.places(layer))
        return rows

    def on_attention(self, layer: int, rows: TokenStates, q: Tensor, k: Tensor) -> None:
        """Measure the response rows' attention, and what a pruner at the next layer needs."""
        probed, looking = self._probing(layer), self._looking()
        asked = self._pruner_asks(layer + 1)
        if not probed and not asked and not looking:
            return
        n = len(self.actives)
        q, k, columns = q[:n], k[:n], self._columns(layer, rows)
        if asked:
            self._glance.measure(rows, q, k, columns, [active.inputs for active in self.actives])
        if not probed and not looking:
            return
        response = last_queries(rows, q, self.actives[0].queries)
        per_row = row_attention(response, k, columns.mask).mean(dim=1)
        if probed:
            self.probe.add(layer, per_row, columns)
        if looking:
            self._looks.add(per_row, columns)

    def _probing(self, layer: int) -> bool:
        """Whether the session wants to see this layer's attention in this step."""
        if not self.probed or layer not in self.session.probe:
            return False
        return any(active.watched for active in self.actives)

    def _looking(self) -> bool:
        """Whether the pruner wants to see, in the next step, what the answer attended to in all
        layers of this one."""
        return (
            "rows:before" in self._glance.needs
            and self.probed
            and any(self.session.accumulates(active.sequence) for active in self.actives)
        )

    def leave_seen(self, ran: TokenStates, firsts: Sequence[int], n_layers: int) -> None:
        """Leave in the session what the pruner may ask to see of this step; `firsts[b]` positions
        of the answer were not forwarded."""
        looks = self._looks.seen([active.inputs for active in self.actives], firsts, n_layers)
        for active, seen in zip(self.actives, looks, strict=False):
            if self.session.accumulates(active.sequence):
                self.session.before[active.sequence]["rows:before"] = seen
        self.leave_final(ran)

    def leave_final(self, ran: TokenStates) -> None:
        """Leave final states of visual tokens, where their rows were computed."""
        if "final:before" not in self._glance.needs or self.memory is not None:
            return
        for i, active in enumerate(self.actives):
            if self.session.accumulates(active.sequence):
                final = self._glance.final(i, ran, active.inputs)
                self.session.before[active.sequence]["final:before"] = final

    def _without_dropped(self, layer: int, rows: TokenStates) -> TokenStates:
        """Take out the rows that plans drop before a layer."""
        alive = rows.alive[: len(self.actives)]
        if not any([self._choose(i, layer, here, rows) for i, here in enumerate(alive)]):
            return rows
        places = [self._surviving(i, here) for i, here in enumerate(alive)]
        copies = len(rows.alive) // len(self.actives)
        left = rows.take(places * copies, compact=self.session.positions == "compact")
        return self._changed(layer, rows, left)

    def _changed(self, layer: int, rows: TokenStates, left: TokenStates) -> TokenStates:
        """Let the tokens that stay become what the choices before this layer make of them."""
        updates = []
        for i, active in enumerate(self.actives):
            made = self._chosen[i]
            if self._keep_ratio(i, layer) is None or made is None:
                continue
            selection = made.here if self._applied[i] is made.before else made.whole
            self._applied[i] = made
            updates.append(row_update(selection, active.inputs, rows, i))
        return with_updates(left, [change for change in updates if change is not None])

    def _after_cuts(self, layer: int, rows: TokenStates, memory: Reader) -> TokenStates:
        """Cut what plans drop before a layer from the caches of that layer; the rows stay."""
        for i, active in enumerate(self.actives):
            if active.plan.drops != memory.caches[i].drops:
                here = active.inputs.visual_positions[list(self.kept[i])]
                self._choose(i, layer, here, rows)
            lost = self._lost[i]
            if layer in active.plan.bypass:
                lost = active.inputs.visual_positions
            if lost is not None:
                memory.cut(layer, i, lost)
        if layer == 0 and self.session.positions == "compact":
            return rows.placed([len(places) for places in memory.places(layer)])
        return rows

    def _there(self, i: int) -> Places:
        """Numbers of the visual tokens that no plan took from the cache, or all."""
        cached = None if self.memory is None else self.memory.caches[i].kept
        return np.arange(len(self.actives[i].inputs.visual_positions)) if cached is None else cached

    def _keep_ratio(self, i: int, layer: int) -> float | None:
        drops = self.actives[i].plan.drops
        return next((drop.keep for drop in drops if drop.layer == layer), None)

    def _choose(self, i: int, layer: int, alive: Places, rows: TokenStates) -> bool:
        """Choose which of the visual tokens at positions `alive` stay from this layer on; whether
        some go."""
        keep = self._keep_ratio(i, layer)
        self._chosen[i] = None
        if keep is None:
            return False
        visual = self.actives[i].inputs.visual_positions
        present = np.flatnonzero(np.isin(visual, alive))
        n = round_keep(keep, len(visual))
        if n > len(present) or (n == len(present) and self.memory is None):
            return False
        # Of what is cached the deepest layer may have as many as asked for, and others more.
        kept = present if n == len(present) else self._selected(i, layer, present, n, rows)
        self.kept[i] = tuple(kept.tolist())
        self._lost[i] = np.setdiff1d(visual, visual[kept])
        return True

    def _surviving(self, i: int, alive: Places) -> Places:
        """Places among the present rows that stay."""
        lost = self._lost[i]
        return np.arange(len(alive)) if lost is None else np.flatnonzero(~np.isin(alive, lost))

    def _selected(self, i: int, layer: int, present: Places, n: int, rows: TokenStates) -> Places:
        """Numbers of the visual tokens that stay: as chosen before, or chosen now."""
        active = self.actives[i]
        if n == 0:
            return np.zeros(0, dtype=np.int64)
        made = self._chosen_before(i, present, n)
        if made is None:
            check_choice(self.session.pruner, layer)  # before what it needs is looked for
            self._check_measured(i, layer)
            asked = Asked(i, active, layer, self.session.before[active.sequence])
            tower = active.inputs.tower
            spent = 0 if tower is None else tower.spent
            view = self._glance.view(asked, present, rows)
            self.transfers[i] += self._reads_device()
            among, before = torch.from_numpy(present), self._applied[i]
            made = self.session.select(active.sequence, view, n, among, before)
            self.tower_macs[i] += 0 if tower is None else tower.spent - spent
        self._chosen[i] = made
        return made.here.keep.numpy()

    def _check_measured(self, i: int, layer: int) -> None:
        """Raise `PlanError` where the pruner reads what was to be measured in a layer that visual
        tokens skipped."""
        if self._glance.measures and layer - 1 in self.actives[i].plan.bypass:
            raise PlanError(
                f"{self.session.pruner!r} reads what is measured in layer {layer - 1}, and the "
                f"plan lets visual tokens skip that; drop before another layer than {layer}"
            )

    def _chosen_before(self, i: int, present: Places, n: int) -> StoredSelection | None:
        """The choice of `n` tokens made earlier in this call, if all of them are still there."""
        before = self.session.remembered(self.actives[i].sequence, n)
        if before is None or not np.isin(before.here.keep.numpy(), present).all():
            return None
        return before

    def _reads_device(self) -> bool:
        """Whether the pruner's choice has to be copied from the device: all else is on the host."""
        pruner = self.session.pruner
        return pruner is not None and bool(pruner.needs - {"centers"})

    def _pruner_asks(self, layer: int) -> bool:
        """Whether a sequence will choose by attention before `layer`, among the tokens there."""
        if not self._glance.measures:
            return False
        for i, active in enumerate(self.actives):
            keep = self._keep_ratio(i, layer)
            if keep is None or self._unchanged(i):
                continue
            present = np.asarray(self.kept[i], dtype=np.int64)
            n = round_keep(keep, len(active.inputs.visual_positions))
            if 0 < n < len(present) and self._chosen_before(i, present, n) is None:
                return True
        return False

    def leave_shape(self, i: int, cache: Cache) -> None:
        """Leave in a cache what this forward's plan has made of it."""
        plan = self.actives[i].plan
        cache.drops, cache.bypass = plan.drops, plan.bypass
        cache.kept = np.asarray(self.kept[i], dtype=np.int64)

    def _unchanged(self, i: int) -> bool:
        """Whether what is cached is already what the plan leaves."""
        cached = self.memory
        return cached is not None and self.actives[i].plan.drops == cached.caches[i].drops

    def _columns(self, layer: int, rows: TokenStates) -> KeyLayout:
        """Keys of a layer; those of the one before if it has the same."""
        known = self._known
        if known is None or known[0] is not self.counts.seen:
            columns = (
                KeyLayout.of_rows(rows, len(self.actives))
                if self.memory is None
                else KeyLayout.of_cached(rows, self.memory, layer)
            )
            known = self._known = (self.counts.seen, columns)
        return known[1]
