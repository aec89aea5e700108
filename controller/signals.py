"""Signals, from rotated queries and keys of response rows only; no L x L map is ever made.

They are measured beside the model's own attention, whatever kernel that uses, and change nothing.
"""

import torch
from torch import Tensor

from saccade.controller.types import SignalChange, Signals

CHUNK = 128
"""Query rows scored at a time where all rows are asked for."""


def row_attention(
    q: Tensor, k: Tensor, key_mask: Tensor | None = None, mean_logits: bool = False
) -> Tensor:
    """Softmaxed attention of some query rows over all keys, in float32.

    Parameters
    ----------
    q : Tensor (B, H, Q, d)
        Rotated queries of the rows asked about.
    k : Tensor (B, H_kv, L, d)
        Rotated keys; H is a multiple of H_kv.
    key_mask : Tensor (B, L) bool or None
        True where a key may be attended to.
    mean_logits : bool
        Average the heads before the softmax instead of giving each its own: H is 1 then.

    Returns
    -------
    Tensor (B, H, Q, L), rows summing to 1.
    """
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k = k.repeat_interleave(groups, dim=1)
    scores = (q.float() @ k.float().transpose(-1, -2)) * q.shape[-1] ** -0.5
    if mean_logits:
        scores = scores.mean(1, keepdim=True)
    if key_mask is not None:
        scores = scores.masked_fill(~key_mask[:, None, None, :], float("-inf"))
    weights: Tensor = scores.softmax(-1)
    return weights


def grouped_attention(per_row: Tensor, groups: Tensor, segments: Tensor) -> Tensor:
    """Share of attention that groups of rows pay to each segment: means over the rows of each.

    Parameters
    ----------
    per_row : Tensor (B, Q, L)
        Attention of each row, mean over heads: `row_attention` averaged over its second axis.
    groups : Tensor (B, G, Q)
        Weight of each row in each group, summing to 1 over Q (NaN for a group without rows).
    segments : Tensor (B, L, S)
        One-hot segment of each key, zeros for padding.

    Returns
    -------
    Tensor (B, G, S) float32; sums to 1 over S for a group that has rows. Source: the attention
    ratios of arXiv 2511.15098, figure 2: answer to picture, and answer to answer.
    """
    return (groups @ per_row) @ segments


def row_groups(masked: Tensor) -> Tensor:
    """Groups (B, 2, Q) of the answer's rows: all of them, and those still masked (B, Q) bool.

    A sequence without a masked row has NaN in the second group.
    """
    still = masked.float()
    every = torch.full_like(still, 1 / masked.shape[1])
    return torch.stack([every, still / still.sum(1, keepdim=True)], dim=1)


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


def candidate_confidence(logits: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How sure a prediction is, in float64.

    Parameters
    ----------
    logits : Tensor (..., V)
    chosen : Tensor (...) int64

    Returns
    -------
    confidence : Tensor (...), in [0, 1]
        Softmax probability of the chosen id.
    entropy : Tensor (...), in nats
        Of the prediction.
    margin : Tensor (...), in [-1, 1]
        Confidence less the probability of the likeliest other id; below 0 where another one is
        likelier than the chosen.
    """
    p = logits.double().softmax(-1)
    entropy = torch.special.entr(p).sum(-1)
    confidence = p.gather(-1, chosen[..., None])
    other = p.scatter_(-1, chosen[..., None], 0.0).amax(-1)
    confidence = confidence[..., 0]
    return confidence, entropy, confidence - other


def signal_change(now: Signals, before: Signals | None) -> SignalChange | None:
    """How the signals of a step differ from those of the step before; None where there was none.

    Attention is compared by its mean over the probed layers, of the rows that were masked, and not
    at all between steps that skip different layers; confidence by its mean over the positions
    masked in both steps, as the mean over all that are masked moves whenever the surest of them are
    committed.
    """
    if before is None:
        return None
    visual = answer = None
    if now.skipped == before.skipped:
        visual = _difference(now.visual_mass, before.visual_mass)
        answer = _difference(now.response_mass, before.response_mass)
    return SignalChange(visual, answer, _confidence_change(now, before))


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _confidence_change(now: Signals, before: Signals) -> float | None:
    parts = (now.confidence, before.confidence, now.masked, before.masked)
    if any(part is None for part in parts):
        return None
    a, b, masked, was = (torch.as_tensor(part) for part in parts)
    both = masked & was & ~(a.isnan() | b.isnan())
    return float((a - b)[both].mean()) if bool(both.any()) else None
