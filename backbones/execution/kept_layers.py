"""Queries and keys of some layers that wait to be scored, and their attention when it is asked for.

They are copied side by side into tensors that are made once: one product of all layers then costs
less than one of each, and views would keep all of a layer's tensors in memory.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WAITING = 2**24
"""Numbers that layers which wait may take at once (64 MiB), if that is enough for one."""
AT_ONCE = 2**18
"""Attention weights that are made at once on a CPU: what stays in its cache is read again soon."""
AT_ONCE_ELSEWHERE = 2**23
"""The same on other devices, where one large product is faster than several small ones."""


class Shape(NamedTuple):
    """What is kept of a layer: sequences, heads of queries and of keys, rows, keys, width of a
    head."""

    batch: int
    heads: int
    key_heads: int
    rows: int
    keys: int
    width: int


class KeptLayers:
    """Some layers' queries, normalizers and keys, in float32.

    A row's score for a key, less the row's normalizer, is one product: queries end in the
    normalizer, and keys in what makes it negative and undoes the scale.

    Parameters
    ----------
    shape : Shape
    n_layers : int
        Layers that may have to be kept; fewer have room if they are large.
    device : torch.device
    """

    def __init__(self, shape: Shape, n_layers: int, device: torch.device) -> None:
        batch, heads, key_heads, rows, keys, width = self.shape = shape
        self.device, self.layers = device, list[int]()
        size = batch * (heads * rows + key_heads * keys) * (width + 1)
        n = self.room = max(1, min(n_layers, WAITING // max(1, size)))
        self._scale, d = width**-0.5, width + 1
        q = torch.empty(n, batch, heads, rows, d, device=device)
        k = torch.empty(n, batch, key_heads, keys, d, device=device)
        k[..., width] = -1 / self._scale
        self._queries, self._normalizers = q[..., :width].unbind(), q[..., width].unbind()
        self._keys = k[..., :width].unbind()
        grouped = heads // key_heads * rows  # rows of heads that share keys
        self._q = q.view(n * batch * key_heads, grouped, d)
        self._k = k.view(n * batch * key_heads, keys, d).transpose(1, 2)
        at_once = AT_ONCE if device.type == "cpu" else AT_ONCE_ELSEWHERE
        self._pairs = max(1, min(n * batch, at_once // max(1, heads * rows * keys)))
        self._out = torch.empty(self._pairs * key_heads, grouped, keys, device=device)
        groups = np.full((n, batch, 2, heads, rows), 1 / (heads * rows), dtype=np.float32)
        self._groups = groups
        self._on_host = torch.from_numpy(groups).view(n * batch, 2, heads * rows)

    @property
    def full(self) -> bool:
        """Whether no other layer has room."""
        return len(self.layers) == self.room

    def add(self, layer: int, q: Tensor, keys: Tensor, normalizers: Tensor) -> None:
        """Keep a layer's queries (B, H, Q, d), keys (B, H_kv, K, d) and normalizers (B, H, Q)."""
        place = len(self.layers)
        self._queries[place].copy_(q)
        self._keys[place].copy_(keys)
        self._normalizers[place].copy_(normalizers)
        self.layers.append(layer)

    def clear(self) -> None:
        """Forget all layers; others may be kept in their place."""
        self.layers = []

    def grouped(self, masked: Sequence[NDArray[np.bool_]], places: Sequence[int]) -> Tensor:
        """Attention (places, B, 2, K) that each key received, mean over heads and over the rows of
        two groups: all of them, and those still masked (NaN if there are none).

        Parameters
        ----------
        masked : sequence of bool array (Q,)
            Which rows of each sequence are still masked.
        places : sequence of int
            Of which of the kept layers, ascending.
        """
        n, (batch, heads, _, _, keys, _) = len(places), self.shape
        for i, own in enumerate(masked):
            many = heads * int(np.count_nonzero(own))
            self._groups[:n, i, 1] = own * np.float32(1 / many) if many else np.nan
        groups = self._on_host.to(self.device)
        out = groups.new_empty(n * batch, 2, keys)
        for pairs, weights in self._weights(places):
            torch.bmm(groups[pairs], weights, out=out[pairs])
        return out.view(n, batch, 2, keys)

    def by_row(self) -> Tensor:
        """Attention (B, Q, K) of each row, mean over heads, summed over all layers that are
        kept."""
        batch, heads, _, rows, keys, _ = self.shape
        out = self._q.new_zeros(batch, rows, keys)
        for pairs, weights in self._weights(range(len(self.layers))):
            means = weights.view(len(weights), heads, rows, keys).mean(1)
            for pair, mean in zip(range(pairs.start, pairs.stop), means, strict=True):
                out[pair % batch] += mean
        return out

    def _weights(self, places: Sequence[int]) -> Iterator[tuple[slice, Tensor]]:
        """Attention (pairs, H Q, K) of pairs of a layer and a sequence, and which pairs these are,
        layer by layer. The next ones are written over them."""
        batch, heads, key_heads, rows, keys, _ = self.shape
        q, k, first = self._q, self._k, places[0]
        if places[-1] - first + 1 != len(places):
            size = batch * key_heads
            chosen = [place * size + i for place in places for i in range(size)]
            q, k, first = q[chosen], k[chosen], 0
        for start in range(0, len(places) * batch, self._pairs):
            stop = min(start + self._pairs, len(places) * batch)
            own, n = (first * batch + start) * key_heads, (stop - start) * key_heads
            out = self._out.narrow(0, 0, n)
            some_q, some_k = q.narrow(0, own, n), k.narrow(0, own, n)
            torch.baddbmm(out, some_q, some_k, beta=0, alpha=self._scale, out=out)
            yield slice(start, stop), out.exp_().view(stop - start, heads * rows, keys)
