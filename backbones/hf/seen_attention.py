"""Attention of one layer as it was computed: which rows asked, which keys they read."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.backbones.hf.masks import readable
from saccade.backbones.hf.row_hooks import LayerRows
from saccade.controller.attention import CHUNK, row_attention


@dataclass(frozen=True, slots=True, eq=False)
class SeenAttention:
    """Queries and keys of a layer.

    Attributes
    ----------
    q, k : Tensor (B, H, Q, d) and (B, H_kv, K, d)
    mask : Tensor or None
        As the kernel got it.
    scale : float or None
    causal : bool
    at : LayerRows
        Where rows and keys stand.
    """

    q: Tensor
    k: Tensor
    mask: Tensor | None
    scale: float | None
    causal: bool
    at: LayerRows

    def rows_at(self, i: int, positions: Tensor) -> Tensor:
        """Numbers of the rows of sequence `i` that stand at ascending positions (n,)."""
        return numbers_at(self.at.rows[i], positions)

    def weights(self, i: int, rows: Tensor, mean_logits: bool = False) -> Tensor:
        """Attention (rows, K) of some rows of sequence `i`, mean over heads; padding gets 0."""
        own = slice(i, i + 1)
        mask = None if self.mask is None else self.mask.expand(len(self.q), -1, -1, -1)[own]
        if mask is not None:
            mask = mask[:, :, rows]
        seen = readable(mask, self.at.rows[own, rows], self.at.columns[own], self.causal)
        out = row_attention(
            self.q[own, :, rows],
            self.k[own],
            seen.to(self.q.device),
            mean_logits=mean_logits,
            scale=self.scale,
        )
        return out.mean(1)[0]

    def received(self, i: int, rows: Tensor, mean_logits: bool) -> Tensor:
        """Attention (K,) that every key receives from some rows, mean over heads and rows."""
        parts = [self.weights(i, some, mean_logits).sum(0) for some in rows.split(CHUNK)]
        return torch.stack(parts).sum(0) / len(rows)

    def columns_at(self, i: int, positions: Tensor) -> Tensor:
        """Numbers of the keys of sequence `i` at positions (n,) that are there."""
        return numbers_at(self.at.columns[i], positions)


def numbers_at(places: Tensor, positions: Tensor) -> Tensor:
    """Numbers (n,) of positions (n,) among places (m,), all of which are there but for padding."""
    there = (places >= 0).nonzero()[:, 0]
    held = places[there]
    return there[torch.searchsorted(held, positions)]
