"""Cached keys and values: what every layer of every sequence remembers, and where it stood.

The cache of a sequence has one entry a layer, and entries may differ in length: what a plan dropped
before a layer is not there from that layer on. Every entry knows the ORIGINAL positions of its
keys, so that dropping some moves neither text nor answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.backbones.network.places import Places, among
from saccade.backbones.network.token_states import TokenStates
from saccade.controller.plan import Drop, Plan


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Keys and values of one layer of one sequence.

    Attributes
    ----------
    k, v : Tensor (H_kv, N, d)
        Rotated keys, and values.
    places : int64 array (N,)
        Original positions, ascending.
    """

    k: Tensor
    v: Tensor
    places: Places

    def __len__(self) -> int:
        return len(self.places)

    def keep(self, stays: NDArray[np.bool_], places: Places | None = None) -> "Entry":
        """Only the keys where `stays` (N,) is True, copied: what goes is freed. Their `places` may
        be given, so that layers share them."""
        index = torch.from_numpy(np.flatnonzero(stays)).to(self.k.device)
        left = self.places[stays] if places is None else places
        return Entry(self.k[:, index], self.v[:, index], left)


@dataclass(slots=True, eq=False)
class Cache:
    """What one sequence remembers.

    Attributes
    ----------
    entries : list of Entry, one per layer
    drops : tuple of Drop
    bypass : frozenset of int
        Of the plan that shaped it last.
    kept : int64 array or None
        Numbers of the visual tokens that its drops left; None for all.
    """

    entries: list[Entry] = field(default_factory=list)
    drops: tuple[Drop, ...] = ()
    bypass: frozenset[int] = frozenset()
    kept: Places | None = None

    def present(self, layer: int, positions: Places) -> NDArray[np.bool_]:
        """Which of these original positions are there in a layer."""
        return among(positions, self.entries[layer].places)

    def fits(self, plan: Plan, n: int, visual: Places) -> bool:
        """Whether a plan can be carried out on what is there, by cutting alone.

        Parameters
        ----------
        plan : Plan
        n : int
            Visual tokens that its first drop leaves; all of them without one.
        visual : int64 array
            Original positions of all visual tokens.
        """
        left = len(visual) if self.kept is None else len(self.kept)
        if not self.bypass <= plan.bypass or (plan.reselect and left < len(visual)):
            return False
        if plan.drops == self.drops:
            return True
        first = plan.drops[0].layer if plan.drops else len(self.entries)
        layers = set(range(first)) - self.bypass
        whole = all(self.present(layer, visual).all() for layer in layers)
        return whole and n <= left


class Stack:
    """One layer's entries side by side, right-aligned, with room for new rows after them.

    Parameters
    ----------
    entries : sequence of Entry
        Of the sequences of a batch.
    room : int
        New rows that can follow.
    """

    def __init__(self, entries: Sequence[Entry], room: int) -> None:
        self.n = max(len(entry) for entry in entries)
        self.starts = [self.n - len(entry) for entry in entries]
        heads, _, d = entries[0].k.shape
        shape = (len(entries), heads, self.n + room, d)
        self.k, self.v = entries[0].k.new_zeros(shape), entries[0].v.new_zeros(shape)
        for i, (entry, start) in enumerate(zip(entries, self.starts, strict=True)):
            self.k[i, :, start : self.n], self.v[i, :, start : self.n] = entry.k, entry.v
        self.entries = [self._view(i, entry.places) for i, entry in enumerate(entries)]
        self._mask = self._filled()

    @property
    def room(self) -> int:
        """New rows that can follow."""
        return self.k.shape[2] - self.n

    def mask(self, rows: int) -> Tensor | None:
        """Which columns are no padding (B, N + rows); None if there is none."""
        return None if self._mask is None else self._mask[:, : self.n + rows]

    def extended(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """As `Past.extended`: new rows are written behind those that stay."""
        end = self.n + k.shape[2]
        self.k[:, :, self.n : end], self.v[:, :, self.n : end] = k, v
        return self.k[:, :, :end], self.v[:, :, :end], self.mask(k.shape[2])

    def append(self, alive: Sequence[Places]) -> list[Entry]:
        """Keep the rows written last, whose original positions are `alive[b]`; the entries now."""
        self.n += len(alive[0])
        self.entries = [
            self._view(i, np.concatenate([entry.places, new]))
            for i, (entry, new) in enumerate(zip(self.entries, alive, strict=True))
        ]
        return self.entries

    def _view(self, i: int, places: Places) -> Entry:
        here = slice(self.starts[i], self.n)
        return Entry(self.k[i, :, here], self.v[i, :, here], places)

    def _filled(self) -> Tensor | None:
        """True where a column is no padding (B, N + room); None if there is none."""
        if not any(self.starts):
            return None
        columns = torch.arange(self.k.shape[2])
        return (columns >= torch.tensor(self.starts)[:, None]).to(self.k.device)


class Recorder:
    """Keeps the keys and values of a forward over whole prompts, one entry a layer.

    Parameters
    ----------
    ends : sequence of int
        Positions below `ends[b]` are kept of sequence b.
    """

    def __init__(self, ends: Sequence[int]) -> None:
        self.ends = ends
        self.caches = [Cache() for _ in ends]
        self._alive: tuple[Places, ...] | None = None
        self._kept: list[Places] = []

    def past(self, layer: int) -> None:
        """Nothing: the rows attend to themselves."""
        return None

    def store(self, layer: int, rows: TokenStates, k: Tensor, v: Tensor) -> None:
        """Copy what is kept; rows ascend, so it is the first of each sequence."""
        if rows.alive is not self._alive:  # layers with the same rows share their positions
            self._alive = rows.alive
            self._kept = [a[a < end] for a, end in zip(rows.alive, self.ends, strict=True)]
        for i, (cache, places) in enumerate(zip(self.caches, self._kept, strict=True)):
            n = len(places)
            cache.entries.append(Entry(k[i, :, :n].clone(), v[i, :, :n].clone(), places))


class _Cut(NamedTuple):
    """A cut of one layer, which is that of the next if that one had the same keys."""

    before: Places
    lost: Places
    stays: NDArray[np.bool_]
    after: Places


class Reader:
    """Gives a forward over new rows the caches of its sequences, and lets a plan cut them.

    Parameters
    ----------
    caches : sequence of Cache
        Of the sequences of the forward; cuts and appended rows are left in them.
    rows : int
        New rows of the forward.
    append : int
        Rows that will be kept in this and later forwards; 0 if the new ones are not.
    stacks : dict of int to Stack, optional
        Those of an earlier forward, used again where nothing changed.
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        rows: int,
        append: int = 0,
        stacks: dict[int, Stack] | None = None,
    ) -> None:
        self.caches, self.rows, self.append = caches, rows, append
        self.stacks: dict[int, Stack] = {} if stacks is None else stacks
        self._cuts: dict[int, _Cut] = {}

    def cut(self, layer: int, i: int, lost: Places) -> None:
        """Drop these original positions from a layer of sequence `i`, where they are there."""
        entry = self.caches[i].entries[layer]
        known = self._cuts.get(i)
        if known is None or known.before is not entry.places or known.lost is not lost:
            stays = ~among(entry.places, lost)
            known = self._cuts[i] = _Cut(entry.places, lost, stays, entry.places[stays])
        if len(known.after) < len(known.before):
            self.caches[i].entries[layer] = entry.keep(known.stays, known.after)

    def places(self, layer: int) -> list[Places]:
        """Original positions of each sequence's cached keys of a layer."""
        return [cache.entries[layer].places for cache in self.caches]

    def past(self, layer: int) -> Stack:
        """The stack of a layer: the one before if no entry changed, else a new one."""
        entries = [cache.entries[layer] for cache in self.caches]
        known = self.stacks.get(layer)
        same = known is not None and all(
            a is b for a, b in zip(known.entries, entries, strict=True)
        )
        if known is None or not same or known.room < self.rows:
            known = self.stacks[layer] = Stack(entries, max(self.rows, self.append))
            self._point(layer, known.entries)
        return known

    def store(self, layer: int, rows: TokenStates, k: Tensor, v: Tensor) -> None:
        """Keep the new rows, if rows are appended."""
        if self.append:
            self._point(layer, self.stacks[layer].append(rows.alive))

    def _point(self, layer: int, entries: Sequence[Entry]) -> None:
        """Let the caches hold views of a stack, so that nothing is kept twice."""
        for cache, entry in zip(self.caches, entries, strict=True):
            cache.entries[layer] = entry
