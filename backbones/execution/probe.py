"""What the answer's rows attended to in one forward: by kind, by visual token, and row by row."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.execution.active import Active
from saccade.backbones.execution.key_layout import KeyLayout
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.token_states import TokenStates, take_last
from saccade.controller.signals import grouped_attention, row_groups

GROUPS = 2
"""All rows of the answer, and those still masked; see `row_groups`."""


class Probe:
    """Sums up attention of the answer's rows, from layers in which it was scored.

    Parameters
    ----------
    actives : sequence of Active
        Of the forward.
    tokens : bool
        Whether attention is kept by visual token too.
    """

    def __init__(self, actives: Sequence[Active], tokens: bool) -> None:
        self.actives, self.tokens = actives, tokens
        self._masses: dict[int, Tensor] = {}
        self._received: list[Tensor] = []
        self._groups: Tensor | None = None
        self._segments: tuple[KeyLayout, Tensor] | None = None

    def add(self, layer: int, per_row: Tensor, columns: KeyLayout) -> None:
        """Add a layer's attention (B, Q, width), mean over heads."""
        groups = self._row_groups(per_row)
        segments = self._one_hot(columns, per_row.device)
        self._masses[layer] = grouped_attention(per_row, groups, segments)
        if self.tokens:
            self._received.append(columns.scattered(per_row.mean(dim=1)))

    def masses(self, n_layers: int) -> Tensor:
        """Attention masses (B, n_layers, 2, 3) of all and of the masked rows on prompt, visual and
        response tokens; NaN where nothing was scored, or is not to be seen."""
        n, device = len(self.actives), None
        if self._masses:
            device = next(iter(self._masses.values())).device
        out = torch.full((n, n_layers, GROUPS, 3), torch.nan, device=device)
        for layer, values in self._masses.items():
            out[:, layer] = values
        unseen = [i for i, active in enumerate(self.actives) if not active.watched]
        out[unseen] = torch.nan
        return out

    def received(self) -> Tensor | None:
        """Attention (B, longest N) that visual tokens received from the answer's rows, in the layer
        of those scored that attends most to them, and zeros behind; None if it was not kept."""
        if not self._received:
            return None
        layers = torch.stack(self._received, dim=1)
        parts = []
        for own, active in zip(layers, self.actives, strict=True):
            places = torch.from_numpy(active.inputs.visual_positions).to(own.device)
            seen = own[:, places]
            spike = seen[seen.sum(dim=1).argmax()]
            parts.append(spike if active.watched else torch.full_like(spike, torch.nan))
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

    def _row_groups(self, per_row: Tensor) -> Tensor:
        if self._groups is None:
            n = per_row.shape[1]
            masked = torch.stack([active.masked[-n:] for active in self.actives])
            self._groups = row_groups(masked).to(per_row.device)
        return self._groups

    def _one_hot(self, columns: KeyLayout, device: torch.device) -> Tensor:
        """Kind of each key (B, width, 3), made anew when the keys change."""
        known = self._segments
        if known is not None and known[0] is columns:
            return known[1]
        inputs = [active.inputs for active in self.actives]
        kinds = columns.kinds(inputs, self.actives[0].response).to(device)
        self._segments = (columns, kinds)
        return kinds


class AccumulatedAttention:
    """What each of the answer's rows attended to, summed over all layers of a forward."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, per_row: Tensor, columns: KeyLayout) -> None:
        """Add a layer's attention (B, Q, width), mean over heads."""
        n, queries, width = per_row.shape
        order = columns.order().to(per_row.device)[:, None].expand(n, queries, width)
        if columns.mask is not None:
            per_row = per_row * columns.mask[:, None]
        if self._sums is None:
            longest = int(max(places[-1] for places in columns.places)) + 1
            self._sums = torch.zeros(n, queries, longest, device=per_row.device)
        self._sums.scatter_add_(2, order, per_row)

    def seen(
        self, inputs: Sequence[Prepared], firsts: Sequence[int], n_layers: int
    ) -> list[Tensor]:
        """Mean over layers (R, N) of each sequence; NaN for the `firsts[b]` first positions of the
        answer, which were not forwarded. Empty if nothing was added."""
        if self._sums is None:
            return []
        out = []
        for own, prepared, first in zip(self._sums, inputs, firsts, strict=True):
            visual = torch.from_numpy(prepared.visual_positions).to(own.device)
            seen = own[:, visual] / n_layers
            out.append(torch.cat([seen.new_full((first, len(visual)), torch.nan), seen]))
        return out


def last_queries(rows: TokenStates, q: Tensor, n: int) -> Tensor:
    """Queries (B, H, n, d) of the last `n` rows of each sequence."""
    if rows.key_mask is None:
        return q[:, :, -n:]
    flat = take_last(q.transpose(1, 2).flatten(2), rows.lengths[: len(q)], n)
    heads: Tensor = flat.unflatten(2, (q.shape[1], q.shape[3]))
    return heads.transpose(1, 2)
