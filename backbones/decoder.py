"""The decoder stack every backbone shares: RMSNorm, rotary attention without a mask, gated MLP."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.backbones.config import LanguageConfig
from saccade.backbones.rows import Rows


class StackHook(Protocol):
    """What the executor of a plan does inside a forward."""

    def before_layer(self, layer: int, rows: Rows) -> Rows:
        """Return the rows that enter `layer`."""

    def on_attention(self, layer: int, rows: Rows, q: Tensor, k: Tensor) -> None:
        """See the rotated queries and keys of `layer`; must not change them."""


class RMSNorm(nn.Module):
    """Root-mean-square norm: statistics in float32, cast back, then scaled in the input's dtype."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * self.weight


def rotary_angles(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Tensor:
    """Cosines and sines (2, B, 1, L, head_dim) of positions (B, L), cast to `dtype` at the end."""
    exponent = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[..., None].float() * (1.0 / theta**exponent)
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return torch.stack([angles.cos(), angles.sin()]).to(dtype)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate (B, H, L, d) by `rotary_angles`, pairing dimension i with i + d/2."""
    cos, sin = angles
    first, second = x.chunk(2, dim=-1)
    out: Tensor = x * cos + torch.cat([-second, first], dim=-1) * sin
    return out


class Attention(nn.Module):
    """Bidirectional grouped-query attention through SDPA."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        d, hd = config.hidden_size, config.head_dim
        self.head_dim = hd
        self.q_proj = nn.Linear(d, config.n_heads * hd, bias=config.qkv_bias)
        self.k_proj = nn.Linear(d, config.n_kv_heads * hd, bias=config.qkv_bias)
        self.v_proj = nn.Linear(d, config.n_kv_heads * hd, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.n_heads * hd, d, bias=False)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim))
        return heads.transpose(1, 2)

    def forward(self, x: Tensor, angles: Tensor, key_mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return the output (B, L, D) and the rotated q and k for probes."""
        q = rotate(self._heads(self.q_proj(x)), angles)
        k = rotate(self._heads(self.k_proj(x)), angles)
        v = self._heads(self.v_proj(x))
        mask = None if key_mask is None else key_mask[:, None, None, :]
        gqa = k.shape[1] != q.shape[1]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=gqa)
        return self.o_proj(out.transpose(1, 2).flatten(2)), q, k


class GatedMLP(nn.Module):
    """``down(silu(gate(x)) * up(x))``."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        d, m = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(d, m, bias=False)
        self.up_proj = nn.Linear(d, m, bias=False)
        self.down_proj = nn.Linear(m, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class DecoderLayer(nn.Module):
    """Pre-norm attention and MLP, each added to the residual stream."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedMLP(config)

    def forward(self, x: Tensor, angles: Tensor, key_mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return the new hidden states (B, L, D) and the layer's rotated q and k."""
        out, q, k = self.self_attn(self.input_layernorm(x), angles, key_mask)
        x = x + out
        return x + self.mlp(self.post_attention_layernorm(x)), q, k


def run_layers(
    layers: nn.ModuleList, config: LanguageConfig, rows: Rows, hook: StackHook | None = None
) -> Rows:
    """Run every layer over `rows`; a hook may drop rows before a layer and look at its attention.

    Angles are computed once and again only when the hook changed the rows, so that survivors keep
    their original positions.
    """
    angles = _angles(config, rows)
    for index, layer in enumerate(layers):
        if hook is not None:
            entering = hook.before_layer(index, rows)
            if entering is not rows:
                rows, angles = entering, _angles(config, entering)
        hidden, q, k = layer(rows.hidden, angles, rows.key_mask)
        if hook is not None:
            hook.on_attention(index, rows, q, k)
        rows = rows.with_hidden(hidden)
    return rows


def _angles(config: LanguageConfig, rows: Rows) -> Tensor:
    return rotary_angles(rows.positions, config.head_dim, config.rope_theta, rows.hidden.dtype)
