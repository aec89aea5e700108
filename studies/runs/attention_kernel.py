"""Which attention kernel answers a model's forwards."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch.nn.attention import SDPBackend

from saccade.backbones.model import Model
from saccade.backbones.network.flash import package_for
from saccade.controller.types import Geometry


def attention_of(model: Model) -> str:
    """The `attention_kernel` of a model."""
    dtype, kernel = model.network.lm_head.weight.dtype, model.network.language.attention
    return attention_kernel(model.spec.geometry, model.device, dtype, kernel)


def attention_kernel(
    geometry: Geometry, device: torch.device, dtype: torch.dtype, attention: str = "sdpa"
) -> str:
    """What runs for heads of this shape, such as ``"sdpa (cpu, flash_attention)"``, ``"eager
    (cpu)"`` or ``"flash (cuda, flash_attn 2.8.3)"``.

    `attention` is what `load` was given. torch's SDPA is asked for rows without a mask; forwards
    with one may take another kernel. Where torch does not say, the device alone is named.
    """
    if attention == "flash":
        return f"flash ({device.type}, {_package(device)})"
    if attention != "sdpa":
        return f"{attention} ({device.type})"
    heads = (geometry.n_heads, geometry.n_kv_heads)
    width = geometry.hidden // geometry.n_heads
    q, k = (torch.zeros(1, n, 8, width, device=device, dtype=dtype) for n in heads)
    ask: Any = getattr(torch, "_fused_sdp_choice", None)  # private: other releases may lack it
    try:
        name = SDPBackend(ask(q, k, k, enable_gqa=heads[0] != heads[1])).name
    except (TypeError, ValueError, RuntimeError):
        return f"sdpa ({device.type})"
    return f"sdpa ({device.type}, {name.lower()})"


def _package(device: torch.device) -> str:
    """The package behind "flash" on a device, and its version where it tells."""
    name = package_for(device).__name__
    distribution = {"flash_attn": "flash-attn", "flash_attn_interface": "flash-attn-3"}[name]
    try:
        return f"{name} {version(distribution)}"
    except PackageNotFoundError:
        return str(name)
