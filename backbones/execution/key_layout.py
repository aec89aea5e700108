"""The keys that the rows of a layer attend to: which columns they are, and where they stood."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.backbones.execution.kept_layers import KeptLayers, Shape
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.cache import Reader
from saccade.backbones.network.places import Places, among
from saccade.backbones.network.token_states import TokenStates

RECENT = 8
"""Layouts whose keys are remembered: a step's layers have few different ones."""
ROOMS = 4
"""Rooms that wait to be used again."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedKeys:
    """Some columns of a layer's keys: of the visual tokens there, then perhaps of the response.

    Attributes
    ----------
    columns : slice or Tensor
        The same columns of all sequences, as a slice or (n,); or those of each (B, n).
    mask : Tensor (B, n) bool or None
        True where a column is not padding; None when nothing is padded.
    n_visual : int
        How many of the first columns are visual tokens.
    numbers : Tensor (B, n_visual) or None
        Number of each among all visual tokens of its sequence, 0 for padding; None where all of
        them are there.
    """

    columns: slice | Tensor
    mask: Tensor | None
    n_visual: int
    numbers: Tensor | None

    @property
    def n(self) -> int:
        """How many columns."""
        if isinstance(self.columns, slice):
            return int(self.columns.stop - self.columns.start)
        return self.columns.shape[-1]

    def take(self, keys: Tensor) -> Tensor:
        """Their keys (B, H, n, d) among all (B, H, width, d)."""
        if isinstance(self.columns, slice):
            return keys.narrow(2, self.columns.start, self.n)
        if self.columns.ndim == 1:
            return keys.index_select(2, self.columns)
        index = self.columns[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
        return keys.gather(2, index)

    def without_padding(self, values: Tensor) -> Tensor:
        """Values (B, ..., n) with zeros in padded columns."""
        if self.mask is None:
            return values
        shape = (len(self.mask), *(1 for _ in values.shape[1:-1]), self.mask.shape[1])
        return values.masked_fill(~self.mask.view(shape), 0.0)

    def by_token(self, values: Tensor, total: int) -> Tensor:
        """Values (B, X, n) of the visual ones by number of the token (B, X, total); 0 where it is
        not there."""
        visual = values[..., : self.n_visual]
        if self.numbers is None and self.n_visual == total:
            return visual
        out = visual.new_zeros(*visual.shape[:2], total)
        if self.numbers is None:
            out[..., : self.n_visual] = visual
            return out
        return out.scatter_add_(2, self.numbers[:, None].expand_as(visual), visual)


@dataclass(frozen=True, slots=True, eq=False)
class KeyLayout:
    """Keys of one layer: one sequence per batch entry.

    Attributes
    ----------
    places : tuple of int64 arrays
        Original positions of each sequence's keys, ascending.
    starts : tuple of int
        Column of each sequence's first key.
    width : int
        Columns, padding included.
    mask : Tensor (B, width) bool or None
        True where a column is not padding; None when nothing is padded.
    device : torch.device
    """

    places: tuple[Places, ...]
    starts: tuple[int, ...]
    width: int
    mask: Tensor | None
    device: torch.device

    @classmethod
    def of_rows(cls, rows: TokenStates, n: int) -> "KeyLayout":
        """That of the first `n` sequences of a forward whose rows attend to themselves."""
        mask = None if rows.key_mask is None else rows.key_mask[:n]
        return cls(rows.alive[:n], (0,) * n, rows.hidden.shape[1], mask, rows.hidden.device)

    @classmethod
    def of_cached(cls, rows: TokenStates, memory: Reader, layer: int) -> "KeyLayout":
        """That of a forward whose rows come after what is cached for a layer."""
        cached = memory.places(layer)
        places = tuple(np.concatenate(pair) for pair in zip(cached, rows.alive, strict=True))
        new = rows.hidden.shape[1]
        width = max(len(own) for own in places)
        mask = memory.past(layer).mask(new)
        starts = tuple(width - len(own) for own in places)
        return cls(places, starts, width, mask, rows.hidden.device)

    def same_as(self, other: "KeyLayout") -> bool:
        """Whether the same columns hold keys of the same positions."""
        return (self.width, self.starts) == (other.width, other.starts) and all(
            a is b or np.array_equal(a, b) for a, b in zip(self.places, other.places, strict=True)
        )

    def asked(self, inputs: Sequence[Prepared], response: bool) -> AskedKeys:
        """Columns of the visual tokens and, if asked, of the `response`."""
        visual, numbers, answers = [], [], []
        for own, places, start in zip(inputs, self.places, self.starts, strict=True):
            there = np.flatnonzero(among(own.visual_positions, places))
            visual.append(start + np.searchsorted(places, own.visual_positions[there]))
            numbers.append(there)
            first = np.searchsorted(places, len(own)) if response else len(places)
            answers.append(start + np.arange(first, len(places)))
        columns, padding = _padded(visual, answers)
        n_visual = max(map(len, visual))
        totals = [len(own.visual_positions) for own in inputs]
        full = totals == list(map(len, visual))
        held = None if full else torch.from_numpy(_padded(numbers)[0]).to(self.device)
        mask = None if padding is None else torch.from_numpy(padding).to(self.device)
        return AskedKeys(self._compact(columns, mask), mask, n_visual, held)

    def _compact(self, columns: NDArray[np.int64], mask: Tensor | None) -> slice | Tensor:
        first = columns[0]
        if mask is not None or bool((columns != first).any()):
            return torch.from_numpy(columns).to(self.device)
        if not len(first) or len(first) == first[-1] - first[0] + 1:
            start = int(first[0]) if len(first) else 0
            return slice(start, start + len(first))
        return torch.from_numpy(first).to(self.device)

    def scattered(self, values: Tensor) -> Tensor:
        """Values of the columns (B, width) at original positions (B, longest length)."""
        if self.mask is not None:
            values = values * self.mask
        longest = int(max(places[-1] for places in self.places)) + 1
        out = torch.zeros(len(values), longest, device=values.device)
        return out.scatter_add_(1, self._order().to(values.device), values)

    def _order(self) -> Tensor:
        """Original position (B, width) of each column, 0 for padding; on the CPU."""
        order = np.zeros((len(self.places), self.width), dtype=np.int64)
        for row, places, start in zip(order, self.places, self.starts, strict=True):
            row[start : start + len(places)] = places
        return torch.from_numpy(order)


class KnownKeys:
    """What forwards of one call have in common: keys that were asked about, found again as long as
    a batch's layers stay as they are, and the room for layers that wait to be scored."""

    def __init__(self) -> None:
        self._last: list[tuple[KeyLayout, tuple[int, ...], bool, AskedKeys]] = []
        self._rooms: list[KeptLayers] = []

    def asked(self, layout: KeyLayout, inputs: Sequence[Prepared], response: bool) -> AskedKeys:
        """As `KeyLayout.asked`."""
        whose = tuple(map(id, inputs))
        for known, owners, kinds, asked in self._last:
            if owners == whose and kinds == response and layout.same_as(known):
                return asked
        made = layout.asked(inputs, response)
        self._last = [(layout, whose, response, made), *self._last[: RECENT - 1]]
        return made

    def room(self, shape: Shape, n_layers: int, device: torch.device) -> KeptLayers:
        """Empty room for layers of a shape, where possible one that was given back."""
        found = [own for own in self._rooms if (own.shape, own.device) == (shape, device)]
        if not found:
            return KeptLayers(shape, n_layers, device)
        self._rooms.remove(found[0])
        found[0].clear()
        return found[0]

    def give_back(self, room: KeptLayers) -> None:
        """Let room be used again; of those that are not, the last few are kept."""
        self._rooms = [*self._rooms[-ROOMS + 1 :], room]


def _padded(
    *parts: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Lists of every sequence side by side (B, n), each part filled up with zeros to its longest;
    and what is not filling, None where nothing is."""
    tables, masks = [], []
    for lists in parts:
        longest = max(map(len, lists))
        table = np.zeros((len(lists), longest), dtype=np.int64)
        mask = np.zeros((len(lists), longest), dtype=bool)
        for row, filled, values in zip(table, mask, lists, strict=True):
            row[: len(values)] = values
            filled[: len(values)] = True
        tables.append(table)
        masks.append(mask)
    mask = np.concatenate(masks, axis=1)
    return np.concatenate(tables, axis=1), None if mask.all() else mask
