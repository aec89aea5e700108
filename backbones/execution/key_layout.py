"""The keys that the rows of a layer attend to: which columns they are, and where they stood."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.cache import Reader
from saccade.backbones.network.token_states import Places, TokenStates
from saccade.controller.types import RESPONSE


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
        KeyLayout, padding included.
    mask : Tensor (B, width) bool or None
        True where a column is no padding; None when nothing is padded.
    """

    places: tuple[Places, ...]
    starts: tuple[int, ...]
    width: int
    mask: Tensor | None

    @classmethod
    def of_rows(cls, rows: TokenStates, n: int) -> "KeyLayout":
        """Those of the first `n` sequences of a forward whose rows attend to themselves."""
        mask = None if rows.key_mask is None else rows.key_mask[:n]
        return cls(rows.alive[:n], (0,) * n, rows.hidden.shape[1], mask)

    @classmethod
    def of_cached(cls, rows: TokenStates, memory: Reader, layer: int) -> "KeyLayout":
        """Those of a forward whose rows come after what is cached for a layer."""
        cached = memory.places(layer)
        places = tuple(np.concatenate(pair) for pair in zip(cached, rows.alive, strict=True))
        new = rows.hidden.shape[1]
        width = max(len(own) for own in places)
        mask = memory.past(layer).mask(new)
        return cls(places, tuple(width - len(own) for own in places), width, mask)

    def kinds(self, inputs: Sequence[Prepared], response: int) -> Tensor:
        """One-hot kinds (B, width, 3) float32, zeros for padding, on the CPU."""
        out = np.zeros((len(self.places), self.width, RESPONSE + 1), dtype=np.float32)
        for i, (own, places, start) in enumerate(
            zip(inputs, self.places, self.starts, strict=True)
        ):
            kinds = own.kinds_with_response(response)[places]
            out[i, start + np.arange(len(kinds)), kinds] = 1
        return torch.from_numpy(out)

    def scattered(self, values: Tensor) -> Tensor:
        """Values of the columns (B, width) at original positions (B, longest length)."""
        if self.mask is not None:
            values = values * self.mask
        longest = int(max(places[-1] for places in self.places)) + 1
        out = torch.zeros(len(values), longest, device=values.device)
        return out.scatter_add_(1, self.order().to(values.device), values)

    def order(self) -> Tensor:
        """Original position (B, width) of each column, 0 for padding; on the CPU."""
        order = np.zeros((len(self.places), self.width), dtype=np.int64)
        for row, places, start in zip(order, self.places, self.starts, strict=True):
            row[start : start + len(places)] = places
        return torch.from_numpy(order)
