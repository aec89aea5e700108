"""Attention masks as transformers makes them: cut to some rows and columns, and read."""

import torch
from torch import Tensor


def cut_mask(
    mask: Tensor | None,
    numbers: Tensor | None,
    first: int,
    rows: Tensor,
    columns: Tensor,
    causal: bool,
    like: Tensor,
) -> Tensor | None:
    """A mask for some rows and some keys alone; None where none is needed.

    Parameters
    ----------
    mask : Tensor (B or 1, 1 or H, Q, K), bool or added to the scores, or None
        That of all rows and keys; None where the kernel makes it, or there is none.
    numbers : Tensor (B, n) or None
        Numbers of the rows that are computed among the Q; None for all.
    first : int
        Original position of the first of the K keys.
    rows, columns : Tensor (B, n) and (B, m)
        Original positions of the rows and keys that are there, -1 for padding.
    causal : bool
        Whether the kernel hides later keys where there is no mask.
    like : Tensor
        Of the rows' dtype and device.
    """
    pad = columns < first
    if mask is None:
        if not bool(pad.any()):
            return None  # rows and keys ascend, so that the kernel's own order is right
        hidden = ~readable(None, rows, columns.masked_fill(pad, -1), causal)[:, None]
        low = torch.finfo(like.dtype).min
        return like.new_zeros(hidden.shape).masked_fill(hidden.to(like.device), low)
    mask, pad = mask.expand(len(columns), -1, -1, -1), pad.to(mask.device)
    if numbers is not None:
        index = numbers[:, None, :, None].to(mask.device)
        mask = mask.gather(2, index.expand(-1, mask.shape[1], -1, mask.shape[3]))
    index = (columns - first).clamp(min=0)[:, None, None].to(mask.device)
    index = index.expand(-1, mask.shape[1], mask.shape[2], -1)
    low = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    return mask.gather(3, index).masked_fill(pad[:, None, None], low)


def readable(mask: Tensor | None, rows: Tensor, columns: Tensor, causal: bool) -> Tensor:
    """Which keys (B, Q, K) bool rows may attend to, of which sequences stand at which positions.

    Parameters
    ----------
    mask : Tensor (B or 1, 1 or H, Q, K), bool or added to the scores, or None
        As the kernel got it.
    rows, columns : Tensor (B, Q) and (B, K)
        Their original positions, -1 for padding; on the host.
    causal : bool
        Whether the kernel hides later keys where there is no mask.
    """
    there = (columns >= 0)[:, None].expand(-1, rows.shape[1], -1)
    if mask is not None:
        seen = mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] == 0
        return seen.expand_as(there) & there.to(seen.device)
    if not causal:
        return there
    return there & (columns[:, None] <= rows[..., None])
