"""The rows of one forward: hidden states with their original positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.network.places import Places, run_of


@dataclass(frozen=True, slots=True, eq=False)
class TokenStates:
    """Rows that enter a layer: one sequence per batch entry, padded on the right.

    Attributes
    ----------
    hidden : Tensor (B, L, D)
    positions : Tensor (B, L) int64
        What the rows are rotated by. ORIGINAL position ids, as dropping a row never moves another,
        unless compact positions are asked for.
    key_mask : Tensor (B, L) bool or None
        True where a row may be attended to; None when nothing is padded.
    alive : tuple of int64 arrays
        Per sequence the original positions of its rows, ascending, kept on the host so that nobody
        has to ask the device.
    """

    hidden: Tensor
    positions: Tensor
    key_mask: Tensor | None
    alive: tuple[Places, ...]

    @classmethod
    def of(
        cls,
        hidden: Tensor,
        lengths: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> Self:
        """Rows of sequences (B, L, D), each `lengths[b]` long (all L by default), that begin at the
        original position `starts[b]` (0 by default)."""
        batch, longest = hidden.shape[:2]
        many = zip(starts or [0] * batch, lengths or [longest] * batch, strict=True)
        alive = tuple(run_of(start, n) for start, n in many)
        positions, mask = _padded(alive, longest)
        device = hidden.device
        return cls(hidden, positions.to(device), None if mask is None else mask.to(device), alive)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Rows of each sequence, without padding."""
        return tuple(len(a) for a in self.alive)

    def with_hidden(self, hidden: Tensor) -> Self:
        """The same rows with other hidden states."""
        return type(self)(hidden, self.positions, self.key_mask, self.alive)

    def placed(self, starts: Sequence[int]) -> Self:
        """The same rows, rotated by `starts[b]`, `starts[b]` + 1, ... instead."""
        longest = self.hidden.shape[1]
        counted = tuple(s + np.arange(n) for s, n in zip(starts, self.lengths, strict=True))
        positions = _padded(counted, longest)[0].to(self.hidden.device)
        return type(self)(self.hidden, positions, self.key_mask, self.alive)

    def take(self, places: Sequence[Places], compact: bool = False) -> Self:
        """Keep the rows at `places[b]` (ascending, into the present rows) of each sequence; compact
        ones are rotated by their present places, 0, 1, ..."""
        alive = tuple(a[p] for a, p in zip(self.alive, places, strict=True))
        longest = max(len(a) for a in alive)
        order, _ = _padded(tuple(places), longest)
        turned = tuple(np.arange(len(a)) for a in alive) if compact else alive
        positions, mask = _padded(turned, longest)
        device = self.hidden.device
        order = order.to(device)[..., None].expand(-1, -1, self.hidden.shape[-1])
        key_mask = None if mask is None else mask.to(device)
        return type(self)(self.hidden.gather(1, order), positions.to(device), key_mask, alive)

    def joined(self, other: Self) -> Self:
        """These rows and other ones of the same sequences, in the order of their positions."""
        pairs = tuple(np.concatenate(p) for p in zip(self.alive, other.alive, strict=True))
        orders = tuple(np.argsort(places) for places in pairs)
        alive = tuple(places[order] for places, order in zip(pairs, orders, strict=True))
        # Rows of the others stand behind the padding of these.
        width = self.hidden.shape[1]
        own = tuple(
            np.where(order < n, order, order - n + width)
            for order, n in zip(orders, self.lengths, strict=True)
        )
        longest = max(len(places) for places in alive)
        index, _ = _padded(own, longest)
        positions, mask = _padded(alive, longest)
        hidden = torch.cat([self.hidden, other.hidden], dim=1)
        device = hidden.device
        index = index.to(device)[..., None].expand(-1, -1, hidden.shape[-1])
        key_mask = None if mask is None else mask.to(device)
        return type(self)(hidden.gather(1, index), positions.to(device), key_mask, alive)

    def last(self, n: int) -> Tensor:
        """Hidden states (B, n, D) of the last `n` rows of each sequence."""
        if self.key_mask is None:
            return self.hidden[:, -n:]
        return take_last(self.hidden, self.lengths, n)


def take_last(values: Tensor, lengths: Sequence[int], n: int) -> Tensor:
    """Last `n` of each padded sequence of values (B, L, D): (B, n, D)."""
    starts = torch.tensor(lengths)[:, None] - n
    index = (starts + torch.arange(n)).to(values.device)
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _padded(lists: tuple[Places, ...], longest: int) -> tuple[Tensor, Tensor | None]:
    """Stack index lists (B, longest), zero padded, with the mask of what is not padding."""
    out = np.zeros((len(lists), longest), dtype=np.int64)
    inside = np.zeros((len(lists), longest), dtype=bool)
    for row, (values, filled) in enumerate(zip(lists, inside, strict=True)):
        out[row, : len(values)] = values
        filled[: len(values)] = True
    return torch.from_numpy(out), None if inside.all() else torch.from_numpy(inside)
