"""Modules in the place of flash-attn 2 and 3, written plainly from what their functions promise."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor


def one(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Output (Q, H, d) and log-sum-exps (H, Q) of one sequence; a causal mask ends at the last
    row and key, and rows that see nothing get zeros."""
    rows, keys = len(q), len(k)
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1).double() for x in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q.double(), k) / q.shape[-1] ** 0.5
    if causal:
        seen = torch.arange(keys)[None] <= torch.arange(rows)[:, None] + keys - rows
        scores = scores.masked_fill(~seen, -torch.inf)
    sums = scores.logsumexp(-1)
    weights = scores.softmax(-1).nan_to_num(0.0)
    out = torch.einsum("hqk,khd->qhd", weights, v)
    return out.to(q.dtype), sums.float()


def dense(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Of a batch: output (B, Q, H, d) and log-sum-exps (B, H, Q)."""
    assert q.ndim == k.ndim == v.ndim == 4 and q.stride(-1) == k.stride(-1) == 1
    pairs = [one(*own, causal) for own in zip(q, k, v, strict=True)]
    return torch.stack([out for out, _ in pairs]), torch.stack([sums for _, sums in pairs])


def ragged(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ends_q: Tensor,
    ends_k: Tensor,
    most_q: int,
    most_k: int,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    """Of sequences one behind the other: output (total, H, d) and log-sum-exps (H, total)."""
    assert q.ndim == k.ndim == v.ndim == 3 and ends_q.dtype == ends_k.dtype == torch.int32
    assert int(ends_q[0]) == int(ends_k[0]) == 0 and int(ends_q[-1]) == len(q)
    assert int(ends_q.diff().max()) <= most_q and int(ends_k.diff().max()) <= most_k
    out, sums = torch.empty_like(q), q.new_empty(q.shape[1], len(q), dtype=torch.float32)
    edges = zip(ends_q[:-1], ends_q[1:], ends_k[:-1], ends_k[1:], strict=True)
    for first, last, start, end in edges:
        own = one(q[first:last], k[start:end], v[start:end], causal)
        out[first:last], sums[:, first:last] = own
    return out, sums


class Second(ModuleType):
    """flash-attn 2: log-sum-exps, and a map that nobody may use, where they are asked for."""

    def __init__(self) -> None:
        super().__init__("flash_attn")
        self.calls: list[str] = []

    def flash_attn_func(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
        return_attn_probs: bool = False,
    ) -> Any:
        self.calls.append("dense")
        out, sums = dense(q, k, v, causal)
        return (out, sums, None) if return_attn_probs else out

    def flash_attn_varlen_func(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        cu_seqlens_q: Tensor,
        cu_seqlens_k: Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
        return_attn_probs: bool = False,
    ) -> Any:
        self.calls.append("ragged")
        lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
        out, sums = ragged(q, k, v, *lengths, causal)
        return (out, sums, None) if return_attn_probs else out


class Third(ModuleType):
    """An early flash-attn 3: it always gives log-sum-exps, and has no switch for them."""

    def __init__(self) -> None:
        super().__init__("flash_attn_interface")
        self.calls: list[str] = []

    def flash_attn_func(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        softmax_scale: float | None = None,
        causal: bool = False,
    ) -> Any:
        self.calls.append("dense")
        return dense(q, k, v, causal)

    def flash_attn_varlen_func(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        cu_seqlens_q: Tensor,
        cu_seqlens_k: Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        seqused_q: Tensor | None = None,
        seqused_k: Tensor | None = None,
        softmax_scale: float | None = None,
        causal: bool = False,
    ) -> Any:
        self.calls.append("ragged")
        lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
        return ragged(q, k, v, *lengths, causal)
