"""Carrying out plans inside a forward: drops before layers, and attention measured on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.prepare import Prepared
from saccade.backbones.rows import Places, Rows, take_last
from saccade.controller.plan import Plan
from saccade.controller.session import Session
from saccade.controller.signals import attention_masses, attention_received
from saccade.controller.types import RESPONSE, VISUAL, VisualView, round_keep


@dataclass(frozen=True, slots=True)
class Active:
    """One sequence of the present forward: its number in the call, inputs, plan, step and seed."""

    sequence: int
    inputs: Prepared
    plan: Plan
    step: int
    seed: int
    response: int


@dataclass(slots=True, eq=False)
class PlanHook:
    """Executes the plans of one forward and measures what the session asks for.

    With guidance the batch holds every sequence twice; both copies lose the same rows, and only the
    first is measured.

    Attributes
    ----------
    visual_counts, row_counts : list of list of int
        ACHIEVED visual tokens and rows per layer of each sequence.
    kept : list of tuple of int
        Numbers of the visual tokens of each sequence that reached the last layer.
    transfers : list of int
        Copies to the host that each sequence's selections needed.
    """

    session: Session
    actives: Sequence[Active]
    visual_counts: list[list[int]] = field(default_factory=list)
    row_counts: list[list[int]] = field(default_factory=list)
    kept: list[tuple[int, ...]] = field(default_factory=list)
    transfers: list[int] = field(default_factory=list)
    _masses: dict[int, Tensor] = field(default_factory=dict)
    _received: dict[str, Tensor] = field(default_factory=dict)
    _segments: tuple[tuple[Places, ...], Tensor] | None = None

    def __post_init__(self) -> None:
        self.visual_counts = [[] for _ in self.actives]
        self.row_counts = [[] for _ in self.actives]
        self.kept = [tuple(range(len(a.inputs.visual_positions))) for a in self.actives]
        self.transfers = [0] * len(self.actives)

    def before_layer(self, layer: int, rows: Rows) -> Rows:
        """Drop visual rows where a plan says so before this layer."""
        alive = rows.alive[: len(self.actives)]
        places = [self._surviving(i, layer, here) for i, here in enumerate(alive)]
        if any(len(p) < len(a) for p, a in zip(places, alive, strict=True)):
            copies = len(rows.alive) // len(self.actives)
            rows = rows.take(places * copies)
        for i, active in enumerate(self.actives):
            kinds = active.inputs.kinds_with_response(active.response)[rows.alive[i]]
            self.visual_counts[i].append(int((kinds == VISUAL).sum()))
            self.row_counts[i].append(len(kinds))
        return rows

    def on_attention(self, layer: int, rows: Rows, q: Tensor, k: Tensor) -> None:
        """Measure the response rows' attention, and what a pruner at the next layer needs."""
        n = len(self.actives)
        q, k = q[:n], k[:n]
        mask = None if rows.key_mask is None else rows.key_mask[:n]
        if layer in self.session.probe:
            response = self._response_queries(rows, q)
            self._masses[layer] = attention_masses(response, k, self._one_hot(rows), mask)
        if self._pruner_asks(layer + 1, rows):
            self._received = {
                name: self._receive(name, rows, q, k, mask) for name in self._attention_needs()
            }

    def masses(self, n_layers: int) -> Tensor:
        """Attention masses (B, n_layers, 3) on prompt, visual and response; NaN if not probed."""
        device = next(iter(self._masses.values())).device if self._masses else None
        out = torch.full((len(self.actives), n_layers, 3), torch.nan, device=device)
        for layer, values in self._masses.items():
            out[:, layer] = values
        return out

    def _keep_ratio(self, i: int, layer: int) -> float | None:
        drops = self.actives[i].plan.drops
        return next((drop.keep for drop in drops if drop.layer == layer), None)

    def _surviving(self, i: int, layer: int, alive: Places) -> Places:
        """Places among the present rows that stay."""
        keep = self._keep_ratio(i, layer)
        everything = np.arange(len(alive))
        if keep is None:
            return everything
        active = self.actives[i]
        visual = active.inputs.visual_positions
        present = np.flatnonzero(np.isin(visual, alive))
        n = round_keep(keep, len(visual))
        if n >= len(present):
            return everything
        kept = self._selected(i, layer, present, n)
        self.kept[i] = tuple(kept.tolist())
        lost = np.setdiff1d(visual, visual[kept])
        return np.flatnonzero(~np.isin(alive, lost))

    def _selected(self, i: int, layer: int, present: Places, n: int) -> Places:
        """Numbers of the visual tokens that stay: as chosen before, or chosen now."""
        active = self.actives[i]
        if n == 0:
            return np.zeros(0, dtype=np.int64)
        before = self._chosen_before(i, present, n)
        if before is not None:
            return before
        view = self._view(i, layer, present)
        self.transfers[i] += self._reads_device()
        return self.session.select(active.sequence, view, n, torch.from_numpy(present)).keep.numpy()

    def _chosen_before(self, i: int, present: Places, n: int) -> Places | None:
        """The `n` tokens chosen earlier in this call, if all of them are still there."""
        before = self.session.remembered(self.actives[i].sequence, n)
        if before is None or not np.isin(before.keep.numpy(), present).all():
            return None
        return before.keep.numpy()

    def _view(self, i: int, layer: int, present: Places) -> VisualView:
        active, among = self.actives[i], torch.from_numpy(present)
        inputs = active.inputs
        device = inputs.embeds.device
        columns = torch.from_numpy(inputs.visual_positions[present]).to(device)
        return VisualView(
            features=inputs.embeds[columns].detach().clone(),
            centres=inputs.centres[among],
            images=inputs.images[inputs.visual_positions[present]].long(),
            attention={name: values[i][columns] for name, values in self._received.items()},
            step=active.step,
            layer=layer,
            seed=active.seed,
        )

    def _reads_device(self) -> bool:
        """Whether the pruner's choice has to be copied from the device: all else is on the host."""
        pruner = self.session.pruner
        return pruner is not None and bool(pruner.needs - {"centres"})

    def _attention_needs(self) -> list[str]:
        pruner = self.session.pruner
        needs = frozenset() if pruner is None else pruner.needs
        return [name.removeprefix("attention:") for name in sorted(needs) if ":" in name]

    def _pruner_asks(self, layer: int, rows: Rows) -> bool:
        """Whether a sequence will choose by attention before `layer`, among the present rows."""
        if not self._attention_needs():
            return False
        for i, active in enumerate(self.actives):
            keep = self._keep_ratio(i, layer)
            if keep is None:
                continue
            visual = active.inputs.visual_positions
            present = np.flatnonzero(np.isin(visual, rows.alive[i]))
            n = round_keep(keep, len(visual))
            if 0 < n < len(present) and self._chosen_before(i, present, n) is None:
                return True
        return False

    def _receive(self, name: str, rows: Rows, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        """Attention received, scattered to original positions (B, longest original length)."""
        who, _, how = name.partition(":")
        logits = how == "logits"
        if who == "response":
            queries = self._response_queries(rows, q)
            values = attention_received(queries, k, mask, mean_logits=logits)
        elif who == "last":
            values = attention_received(self._last_queries(rows, q, 1), k, mask, mean_logits=logits)
        else:
            values = attention_received(q, k, mask, mask, mean_logits=logits)
        positions = rows.positions[: len(self.actives)]
        if mask is not None:
            values = values * mask
        out = torch.zeros(len(values), int(max(a[-1] for a in rows.alive)) + 1, device=q.device)
        return out.scatter_add_(1, positions, values)

    def _response_queries(self, rows: Rows, q: Tensor) -> Tensor:
        n = self.actives[0].response
        if rows.key_mask is None:
            return q[:, :, -n:]
        return self._last_queries(rows, q, n)

    def _last_queries(self, rows: Rows, q: Tensor, n: int) -> Tensor:
        """Queries (B, H, n, d) of the last `n` rows of each sequence."""
        flat = take_last(q.transpose(1, 2).flatten(2), rows.lengths[: len(self.actives)], n)
        heads: Tensor = flat.unflatten(2, (q.shape[1], q.shape[3]))
        return heads.transpose(1, 2)

    def _one_hot(self, rows: Rows) -> Tensor:
        """Segment of each present row (B, L, 3), zeros for padding; made anew when rows change."""
        if self._segments is not None and self._segments[0] is rows.alive:
            return self._segments[1]
        out = np.zeros((len(self.actives), rows.hidden.shape[1], RESPONSE + 1), dtype=np.float32)
        for i, active in enumerate(self.actives):
            kinds = active.inputs.kinds_with_response(active.response)[rows.alive[i]]
            out[i, np.arange(len(kinds)), kinds] = 1
        one_hot = torch.from_numpy(out).to(rows.hidden.device)
        self._segments = (rows.alive, one_hot)
        return one_hot
