"""Attention by flash-attn, 2 or 3: another library than torch's own flash kernel behind SDPA.

Where some keys are padding, they are left out: all sequences of a batch are handed over one behind
the other, with the places where each begins.
"""

import inspect
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

EXTRA = 'install it with: pip install "saccade-dmllm[flash]"'
SECOND, THIRD = "flash_attn", "flash_attn_interface"
"""Modules of flash-attn 2 and 3."""
AMPERE, HOPPER = 8, 9
"""Major compute capabilities: the first that either runs on, and the one that 3 is made for."""
WIDEST, EVEN = 256, 8
"""Head widths: the largest, and what all are multiples of."""
FUNCTIONS = ("flash_attn_func", "flash_attn_varlen_func")
HALVES = (torch.float16, torch.bfloat16)


def check_flash(device: torch.device, dtype: torch.dtype, head_dim: int) -> None:
    """Raise if flash-attn cannot compute attention of such heads there.

    Raises
    ------
    ValueError
        For another device than a CUDA GPU from Ampere on, another dtype than float16 or bfloat16,
        or heads that are too wide or no multiple of 8.
    ImportError
        If it is not installed or cannot be imported, naming the extra.
    """
    instead = "attention='sdpa'"
    if device.type != "cuda":
        raise ValueError(f"attention='flash' runs on CUDA, not on {device}; give {instead} there")
    name = str(dtype).removeprefix("torch.")
    if dtype not in HALVES:
        raise ValueError(
            f"attention='flash' computes in bfloat16 or float16, not in {name}; give "
            f"dtype='bfloat16', or {instead}"
        )
    if head_dim > WIDEST or head_dim % EVEN:
        raise ValueError(
            f"attention='flash' takes heads of at most {WIDEST} numbers, in multiples of {EVEN}; "
            f"this model's have {head_dim}: give {instead}"
        )
    major, minor = torch.cuda.get_device_capability(device)
    if major < AMPERE:
        raise ValueError(
            f"attention='flash' needs a GPU of compute capability {AMPERE}.0 or more (Ampere); "
            f"{device} has {major}.{minor}: give {instead}"
        )
    package_for(device)


def flash(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, normalizer: bool
) -> tuple[Tensor, Tensor | None]:
    """As `attend`; all rows are computed, those of padding too, as SDPA does."""
    if causal:  # its mask ends at the last key, ours begins at the first
        k, v = k[:, :, : q.shape[2]], v[:, :, : q.shape[2]]
    own = package_for(q.device)
    rows, keys, values = (x.transpose(1, 2) for x in (q, k, v))
    if mask is None:
        out, sums = _told(own.flash_attn_func, normalizer, rows, keys, values, causal=causal)
        return out.transpose(1, 2), sums
    keys, values, ends = _unpadded(keys, values, mask[:, 0, 0])
    batch, n = rows.shape[:2]
    starts = torch.arange(0, batch * n + 1, n, dtype=torch.int32, device=q.device)
    lengths = {"max_seqlen_q": n, "max_seqlen_k": mask.shape[-1], "causal": causal}
    out, sums = _told(
        own.flash_attn_varlen_func,
        normalizer,
        rows.flatten(0, 1),
        keys,
        values,
        cu_seqlens_q=starts,
        cu_seqlens_k=ends,
        **lengths,
    )
    if sums is not None:  # (H, B * Q)
        sums = sums.unflatten(1, (batch, n)).transpose(0, 1)
    return out.unflatten(0, (batch, n)).transpose(1, 2), sums


def _unpadded(keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keys and values (B * K, H, d) of all sequences one behind the other, and where each begins
    and ends (B + 1,).

    What is padding goes behind all of them, where nobody looks: leaving it out would need its
    number on the host, which would wait for the device in every layer.
    """
    order = torch.argsort((~mask).flatten().to(torch.uint8), stable=True)
    ends = torch.nn.functional.pad(mask.sum(1).cumsum(0), (1, 0)).to(torch.int32)
    return keys.flatten(0, 1)[order], values.flatten(0, 1)[order], ends


def _told(function: Any, normalizer: bool, *args: Any, **how: Any) -> tuple[Tensor, Tensor | None]:
    """The output of a function of flash-attn, and the log-sum-exps, where asked for."""
    if normalizer and _has_switch(function):
        how["return_attn_probs"] = True
    given = function(*args, **how)
    out, *rest = given if isinstance(given, tuple) else (given,)
    return out, rest[0] if normalizer and rest else None


@cache
def _has_switch(function: Any) -> bool:
    """Whether log-sum-exps have to be asked for: early releases of 3 always give them."""
    return "return_attn_probs" in inspect.signature(function).parameters


@cache
def package_for(device: torch.device) -> Any:
    """The module of flash-attn for a device: 3 on Hopper where it is there, else 2, else 3.

    Raises
    ------
    ImportError
        If there is neither, naming the extra to install.
    """
    hopper = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == HOPPER
    problems = []
    for name in (THIRD, SECOND) if hopper else (SECOND, THIRD):
        try:
            found = import_module(name)
        except (ImportError, OSError) as error:  # built for another torch, it lacks a symbol
            problems.append(f"{name}: {error}")
            continue
        lacking = [own for own in FUNCTIONS if not hasattr(found, own)]
        if not lacking:
            return found
        problems.append(f"{name} has no {' and no '.join(lacking)}")
    raise ImportError(f"attention='flash' needs flash-attn ({'; '.join(problems)}); {EXTRA}")
