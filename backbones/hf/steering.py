"""Carrying out the plans of one forward: which rows its layers compute, which keys they read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from saccade.backbones.hf.kept_layer import KeptLayer
from saccade.backbones.hf.measured import Measured
from saccade.backbones.hf.row_hooks import LayerRows, Rows
from saccade.backbones.hf.seen_attention import SeenAttention
from saccade.backbones.hf.sequence import CallSequence, Step
from saccade.backbones.hf.views import Source
from saccade.controller.attach import check_choice
from saccade.controller.errors import PlanError
from saccade.controller.session import Session
from saccade.controller.types import round_keep
from saccade.controller.view_fields import MEASURED


@dataclass(slots=True, eq=False)
class Reduction:
    """What became of one sequence's visual tokens in a forward.

    Attributes
    ----------
    kept : Tensor (n,) int64
        Numbers of the visual tokens that are left.
    lost : Tensor or None
        Original positions of those that are gone; None where none are.
    """

    kept: Tensor
    lost: Tensor | None = None


class Counted:
    """Takes down which rows the layers of a forward computed, and which keys they read."""

    def __init__(self) -> None:
        self._layers: list[tuple[LayerRows, int]] = []
        self._known: dict[tuple[int, int, int], tuple[int, int, int]] = {}

    def add(self, at: LayerRows, offset: int) -> None:
        """Take down a layer whose rows see no key before `offset`."""
        self._layers.append((at, offset))

    def of(self, own: CallSequence) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Visual tokens that a sequence's rows read, rows computed, and keys read, by layer;
        padding does not count."""
        visual, rows, keys = zip(*(self._one(own, *layer) for layer in self._layers), strict=True)
        return visual, rows, keys

    def _one(self, own: CallSequence, at: LayerRows, offset: int) -> tuple[int, int, int]:
        key = own.number, id(at), offset  # layers that read alike share one `LayerRows`
        if key not in self._known:
            places = at.columns[own.number]
            places = places[places >= max(own.start, offset)]
            rows = int((at.rows[own.number] >= own.start).sum())
            self._known[key] = int(torch.isin(own.visual, places).sum()), rows, len(places)
        return self._known[key]


class Resting:
    """A forward that takes what is cached as it is, and nothing away: it only counts."""

    def __init__(self) -> None:
        self.counted = Counted()

    def before_layer(self, layer: int, hidden: Tensor, held: KeptLayer) -> Rows:
        return None

    def runs(self, layer: int, at: LayerRows, held: KeptLayer) -> None:
        self.counted.add(at, held.offset)

    def watches(self, layer: int) -> bool:
        """Nothing is measured."""
        return False

    def on_attention(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        mask: Tensor | None,
        scale: float | None,
        causal: bool,
    ) -> None:
        """Nothing is measured."""


class Steering:
    """Executes the plans of one forward, and measures what its steps ask for.

    Parameters
    ----------
    session : Session
    sequences : sequence of CallSequence
    steps : sequence of Step
        What is planned for each of them.
    layers : sequence of KeptLayer
        What is cached.
    norm : nn.Module
        The model's final norm.
    queries : int
        Rows at the end of every sequence whose attention is the answer's.
    measured : Measured or None
        What takes in their attention; None for the end of a prompt that runs on its own.
    left : mapping of int to Tensor (n,)
        Numbers of the visual tokens that the step before left, by sequence: a plan that asks for
        no more chooses among them.

    Attributes
    ----------
    reductions : list of Reduction
    counted : Counted
    """

    def __init__(
        self,
        session: Session,
        sequences: Sequence[CallSequence],
        steps: Sequence[Step],
        layers: Sequence[KeptLayer],
        norm: nn.Module,
        queries: int,
        measured: Measured | None,
        left: Mapping[int, Tensor] = MappingProxyType({}),
    ) -> None:
        self.session, self.sequences, self.steps = session, sequences, steps
        self.layers, self.norm, self.queries = layers, norm, queries
        self.measured, self.left = measured, left
        self.reductions = [Reduction(torch.arange(own.n_visual)) for own in sequences]
        self.counted = Counted()
        self._asks = bool(session.needs & MEASURED)
        self._watched = frozenset[int]() if measured is None else measured.layers
        self._seen: SeenAttention | None = None
        self._at: LayerRows | None = None

    def before_layer(self, layer: int, hidden: Tensor, held: KeptLayer) -> Rows:
        """Choose what goes before this layer, hide it in the cache, and leave out its rows."""
        lost = [self._lost(i, layer, hidden, held) for i in range(len(self.steps))]
        held.hide(lost)
        self._seen = None
        first, n = held.seen, hidden.shape[1]
        if all(own is None or not bool((own >= first).any()) for own in lost):
            return None
        rows = torch.arange(first, first + n)
        out = [rows if own is None else rows[~torch.isin(rows, own)] for own in lost]
        if any(not len(own) or own[-1] != rows[-1] for own in out):
            raise PlanError(
                "the plan takes the last row of the prompt, which is a visual token, and the "
                "answer is read from it; keep it, or let words follow the pictures"
            )
        return out

    def runs(self, layer: int, at: LayerRows, held: KeptLayer) -> None:
        """Take down what a layer computes."""
        self._at = at
        self.counted.add(at, held.offset)

    def watches(self, layer: int) -> bool:
        """Whether the attention of a layer is to be seen."""
        return layer in self._watched or self._pruner_asks(layer + 1)

    def on_attention(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        mask: Tensor | None,
        scale: float | None,
        causal: bool,
    ) -> None:
        """Measure the answer's rows, and keep what a pruner at the next layer needs."""
        assert self._at is not None
        self._seen = SeenAttention(q, k, mask, scale, causal, self._at)
        if self.measured is not None and layer in self._watched:
            self.measured.add(layer, self._seen)

    def _lost(self, i: int, layer: int, hidden: Tensor, held: KeptLayer) -> Tensor | None:
        """Positions of the visual tokens that a layer does not read."""
        step = self.steps[i]
        if step.drop_before(layer) is not None:
            self._reduce(i, layer, hidden, held)
        return self.sequences[i].visual if layer in step.plan.bypass else self.reductions[i].lost

    def _reduce(self, i: int, layer: int, hidden: Tensor, held: KeptLayer) -> None:
        own, step, reduction = self.sequences[i], self.steps[i], self.reductions[i]
        n = round_keep(step.drop_before(layer) or 0.0, own.n_visual)
        there = self._there(i, layer, n)
        if n == 0:
            reduction.kept = there[:0]
        else:
            reduction.kept = there if n >= len(there) else self._chosen(i, layer, n, there, hidden)
        gone = torch.ones(own.n_visual, dtype=torch.bool)
        gone[reduction.kept] = False
        reduction.lost = own.visual[gone] if bool(gone.any()) else None

    def _there(self, i: int, layer: int, n: int) -> Tensor:
        """Numbers of the visual tokens that can be chosen among: those that all layers from this
        one on hold, if they are enough, or else those that hold until the next drop; of these, the
        ones that the step before left, if they are enough."""
        own, kept = self.sequences[i], self.reductions[i].kept
        left = self.left.get(i)
        plan, last = self.steps[i].plan, len(self.layers)
        until = next((drop.layer for drop in plan.drops if drop.layer > layer), last)
        for end in (last, until):
            among = torch.ones(own.n_visual, dtype=torch.bool)
            for number in range(layer, end):
                if number not in plan.bypass:
                    among &= held_of(self.layers[number], own)
            out = kept[among[kept]]
            if len(out) >= n:
                break
        among = out if left is None else out[torch.isin(out, left)]
        return among if len(among) >= n else out

    def _chosen(self, i: int, layer: int, n: int, there: Tensor, hidden: Tensor) -> Tensor:
        """Numbers of the visual tokens that stay: as chosen before, or chosen now."""
        made = self._chosen_before(i, n, there)
        if made is not None:
            return made
        own, step = self.sequences[i], self.steps[i]
        check_choice(self.session.pruner, layer)
        if self._asks and layer - 1 in step.plan.bypass:
            raise PlanError(
                f"{self.session.pruner!r} reads what is measured in layer {layer - 1}, and the "
                f"plan lets visual tokens skip that; drop before another layer than {layer}"
            )
        first = self.layers[layer].seen
        source = Source(
            self.session,
            own,
            step,
            there,
            hidden[i],
            first,
            self.queries,
            self._seen,
            self.norm,
        )
        view = source.view(layer)
        own.transfers += bool(self.session.needs - {"centers"})
        return self.session.select(own.number, view, n, there).here.keep

    def _chosen_before(self, i: int, n: int, there: Tensor) -> Tensor | None:
        """The choice of `n` tokens made earlier in this call, if all of them are still there."""
        before = self.session.remembered(self.sequences[i].number, n)
        if before is None or not bool(torch.isin(before.here.keep, there).all()):
            return None
        return before.here.keep

    def _pruner_asks(self, layer: int) -> bool:
        """Whether a sequence will choose by attention before `layer`."""
        if not self._asks or layer >= len(self.layers):
            return False
        for i, step in enumerate(self.steps):
            keep = step.drop_before(layer)
            if keep is None:
                continue
            n = round_keep(keep, self.sequences[i].n_visual)
            there = self._there(i, layer, n)
            if 0 < n < len(there) and self._chosen_before(i, n, there) is None:
                return True
        return False


def held_of(layer: KeptLayer, own: CallSequence) -> Tensor:
    """Which visual tokens (N,) bool a layer holds, or will be given, or held until they left its
    window."""
    if layer.places is None:
        return torch.ones(own.n_visual, dtype=torch.bool)
    held = torch.isin(own.visual, layer.places[own.number])
    return held | (own.visual >= layer.seen) | (own.visual < layer.offset)


def fits(session: Session, layers: Sequence[KeptLayer], own: CallSequence, step: Step) -> bool:
    """Whether all that a plan wants to read is cached."""
    if all(layer.places is None for layer in layers):
        return True
    plan, total = step.plan, own.n_visual
    there = torch.ones(total, dtype=torch.bool)
    starts = [0, *(drop.layer for drop in plan.drops)]
    counts = [total, *(round_keep(drop.keep, total) for drop in plan.drops)]
    for start, end, n in zip(starts, [*starts[1:], len(layers)], counts, strict=True):
        if n == 0:
            return True
        for number in range(start, end):
            if number not in plan.bypass:
                there = there & held_of(layers[number], own)
        made = session.remembered(own.number, n) if n < total else None
        enough = int(there.sum()) >= n if made is None else bool(there[made.here.keep].all())
        anew = plan.reselect and n < total
        if not enough or (anew and not bool(there.all())):
            return False
    return True
