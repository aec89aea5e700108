"""Which of torch's attention kernels answers a model's forwards."""

from typing import Any

import torch
from torch.nn.attention import SDPBackend

from saccade.controller.types import Geometry


def attention_kernel(geometry: Geometry, device: torch.device, dtype: torch.dtype) -> str:
    """What torch's SDPA runs for heads of this shape, such as ``"sdpa (cpu, flash_attention)"``.

    It is asked for rows without a mask; forwards with one may take another kernel. Where torch does
    not say, the device alone is named.
    """
    heads = (geometry.n_heads, geometry.n_kv_heads)
    width = geometry.hidden // geometry.n_heads
    q, k = (torch.zeros(1, n, 8, width, device=device, dtype=dtype) for n in heads)
    ask: Any = getattr(torch, "_fused_sdp_choice", None)  # private: other releases may lack it
    try:
        name = SDPBackend(ask(q, k, k, enable_gqa=heads[0] != heads[1])).name
    except (TypeError, ValueError, RuntimeError):
        return f"sdpa ({device.type})"
    return f"sdpa ({device.type}, {name.lower()})"
