"""Attention written out: scores, softmax, sum. Slow and large, and the same on every device."""

import torch
from torch import Tensor


def eager(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, normalizer: bool
) -> tuple[Tensor, Tensor | None]:
    """As `attend`: everything is computed in float32 at least, and rounded once, at the end.

    The scores (B, H, Q, K) are held at once. Rows that may attend to nothing get zeros, and a
    normalizer of minus infinity.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    rows = q.to(wide).unflatten(1, (k.shape[1], -1))  # heads that share keys, side by side
    keys, values = k.to(wide)[:, :, None], v.to(wide)[:, :, None]
    scores = rows @ keys.transpose(-1, -2) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, :, None], float("-inf"))
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    sums = scores.logsumexp(-1)
    # Without the floor a row that sees nothing would be no numbers.
    weights = (scores - sums.clamp(min=torch.finfo(wide).min)[..., None]).exp()
    out = (weights @ values).flatten(1, 2).to(q.dtype)
    return out, sums.flatten(1, 2).float() if normalizer else None
