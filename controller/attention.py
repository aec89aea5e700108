"""Attention of some rows, from their rotated queries and all keys; no L x L map is ever made.

They are measured apart from the model's own attention, whatever kernel that uses, and change
nothing.
"""

import torch
from torch import Tensor

CHUNK = 128
"""Query rows scored at a time where all rows are asked for."""


def row_attention(
    q: Tensor,
    k: Tensor,
    key_mask: Tensor | None = None,
    mean_logits: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Softmaxed attention of some query rows over all keys, in float32.

    Parameters
    ----------
    q : Tensor (B, H, Q, d)
        Rotated queries of the rows asked about.
    k : Tensor (B, H_kv, L, d)
        Rotated keys; H is a multiple of H_kv.
    key_mask : Tensor (B, L) or (B, Q, L) bool or None
        True where a key may be attended to, by all rows or by each.
    mean_logits : bool
        Average the heads before the softmax instead of giving each its own: H is 1 then.
    scale : float, optional
        Of the scores; ``d ** -0.5`` by default.

    Returns
    -------
    Tensor (B, H, Q, L), rows summing to 1.
    """
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k = k.repeat_interleave(groups, dim=1)
    scores = (q.float() @ k.float().transpose(-1, -2)) * (
        q.shape[-1] ** -0.5 if scale is None else scale
    )
    if mean_logits:
        scores = scores.mean(1, keepdim=True)
    if key_mask is not None:
        seen = key_mask[:, None, None, :] if key_mask.ndim == 2 else key_mask[:, None]
        scores = scores.masked_fill(~seen, float("-inf"))
    weights: Tensor = scores.softmax(-1)
    return weights


def row_normalizers(q: Tensor, k: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Log-sum-exp (B, H, Q) of the scaled scores of some rows over all keys, in float32.

    Parameters
    ----------
    q, k, key_mask
        As in `row_attention`.
    """
    batch, heads, rows, d = q.shape
    scores = (_by_key_head(q, k.shape[1]) @ k.float().transpose(-1, -2)) * d**-0.5
    if key_mask is not None:
        scores = scores.masked_fill(~key_mask[:, None, None, :], float("-inf"))
    sums: Tensor = scores.logsumexp(-1)
    return sums.view(batch, heads, rows)


def _by_key_head(q: Tensor, n_heads: int) -> Tensor:
    """Queries (B, H, Q, d) in float32 as (B, H_kv, H / H_kv * Q, d): heads that share keys side by
    side, so that no key is copied."""
    batch, _, _, d = q.shape
    return q.float().reshape(batch, n_heads, -1, d)


def attention_received(
    q: Tensor,
    k: Tensor,
    key_mask: Tensor | None = None,
    row_mask: Tensor | None = None,
    mean_logits: bool = False,
) -> Tensor:
    """Attention each key receives: mean over heads and query rows.

    Parameters
    ----------
    q, k, key_mask, mean_logits
        As in `row_attention`. Rows are scored `CHUNK` at a time.
    row_mask : Tensor (B, Q) bool or None
        Query rows that count; None for all.

    Returns
    -------
    Tensor (B, L) float32.
    """
    total = torch.zeros(k.shape[0], k.shape[2], device=k.device)
    for start in range(0, q.shape[2], CHUNK):
        weights = row_attention(q[:, :, start : start + CHUNK], k, key_mask, mean_logits)
        rows = None if row_mask is None else row_mask[:, start : start + CHUNK]
        total += received_sums(weights, rows)
    count = q.shape[2] if row_mask is None else row_mask.sum(1, keepdim=True)
    return total / count


def received_sums(weights: Tensor, row_mask: Tensor | None = None) -> Tensor:
    """Attention weights (B, H, Q, L) to what each key receives (B, L): mean over heads, summed over
    the query rows (those of `row_mask` (B, Q), if given)."""
    per_row = weights.mean(1)
    return (per_row if row_mask is None else per_row * row_mask[..., None]).sum(1)
