"""Scaled dot-product attention that can also tell how its rows were normalised."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend

from saccade.backbones.network.eager import eager
from saccade.backbones.network.flash import check_flash, flash
from saccade.controller.names import not_allowed


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    normalizer: bool = False,
    kernel: str = "sdpa",
) -> tuple[Tensor, Tensor | None]:
    """Attention of all heads, and the log-sum-exp of every row, if at hand.

    Parameters
    ----------
    q : Tensor (B, H, Q, d)
    k, v : Tensor (B, H_kv, K, d)
        H is a multiple of H_kv.
    mask : Tensor (B, 1, 1, K) bool or None
        True where a key may be attended to.
    causal : bool
        Row i sees keys up to i alone; no mask then, and no fewer keys than rows.
    normalizer : bool
        Whether the log-sum-exp is wanted.
    kernel : str
        Of `KERNELS`. "sdpa" gives what torch's SDPA does, to the last bit.

    Returns
    -------
    out : Tensor (B, H, Q, d)
    normalizer : Tensor (B, H, Q) float32 or None
        Logarithm of the sum of exponentiated scaled scores of each row: a row's attention to a key
        is ``exp(score - normalizer)``. None where it was not asked for, or where the kernel does
        not give it.
    """
    return KERNELS[kernel](q, k, v, mask, causal, normalizer)


def check_attention(kernel: object, device: torch.device, dtype: torch.dtype, width: int) -> None:
    """Raise if a kernel cannot serve heads of `width` numbers on a device in a dtype.

    Raises
    ------
    ValueError
        For an unknown kernel, or as `check_flash`.
    ImportError
        If it comes with a package that is not there, naming the extra.
    """
    check_kernel(kernel)
    if kernel == "flash":
        check_flash(device, dtype, width)


def check_kernel(kernel: object) -> None:
    """Raise `ValueError` for a name that is not in `KERNELS`."""
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise ValueError(not_allowed("attention", kernel, KERNELS))


def _sdpa(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, normalizer: bool
) -> tuple[Tensor, Tensor | None]:
    """As `attend`, by torch."""
    if normalizer and _kernel_tells(q, k):
        added = None
        if mask is not None:
            added = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, float("-inf"))
        out, sums = _KERNEL(q, k, v, 0.0, causal, attn_mask=added)
        return out, sums
    grouped = k.shape[1] != q.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=grouped)
    return out, None


Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, bool, bool], tuple[Tensor, Tensor | None]]
KERNELS: Mapping[str, Kernel] = {"sdpa": _sdpa, "flash": flash, "eager": eager}
"""What computes attention, by the names that `load` takes."""

_packet: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_KERNEL: Any = None if _packet is None else _packet.default
"""torch's own CPU kernel behind SDPA; private, so that other releases may lack it."""


def _kernel_tells(q: Tensor, k: Tensor) -> bool:
    """Whether SDPA would run torch's own CPU kernel, which gives the normalizers too."""
    return (
        q.device.type == "cpu"
        and k.shape[2] > 0
        and q.shape[2] > 0
        and not torch.is_grad_enabled()
        and torch.backends.cuda.flash_sdp_enabled()
        and _KERNEL is not None
        and (q.shape[1] == k.shape[1] or _kernel_groups())
    )


@cache
def _kernel_groups() -> bool:
    """Whether that kernel shares keys among heads: older ones read beyond them instead, and SDPA
    does not take them then."""
    choice: Any = getattr(torch, "_fused_sdp_choice", None)
    if choice is None:
        return False
    q, k = torch.zeros(1, 2, 1, 8), torch.zeros(1, 1, 1, 8)
    return bool(choice(q, k, k, enable_gqa=True) == SDPBackend.FLASH_ATTENTION.value)
