"""The decoder stack every backbone shares: RMSNorm, rotary attention, gated MLP.

Bidirectional for diffusion models, causal for autoregressive ones; over its own rows alone, or also
over keys and values that were cached before.
"""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.backbones.network.attend import attend
from saccade.backbones.network.sizes import LanguageConfig
from saccade.backbones.network.token_states import TokenStates


class StackHook(Protocol):
    """What the executor of a plan does inside a forward."""

    def before_layer(self, layer: int, rows: TokenStates) -> TokenStates:
        """Return the rows that enter `layer`."""

    def watches(self, layer: int) -> bool:
        """Whether it wants to see the attention of `layer`; asked after `before_layer`."""

    def on_attention(self, layer: int, rows: TokenStates, seen: "Attended") -> None:
        """See what attention in `layer` worked with; must not change it."""


class Past(Protocol):
    """Cached keys and values of one layer, of all sequences of a batch."""

    def extended(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values (B, H_kv, N + L, d) with those of L new rows at the end, and which of
        them may be attended to (B, N + L), None for all."""


class Memory(Protocol):
    """Where a forward finds cached keys and values, or leaves its own."""

    def past(self, layer: int) -> Past | None:
        """What was cached for `layer`; None if the rows attend to themselves only."""

    def store(self, layer: int, rows: TokenStates, k: Tensor, v: Tensor) -> None:
        """Take in the rotated keys and the values (B, H_kv, L, d) of the rows of `layer`."""


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


def rotary_angles(
    positions: Tensor,
    head_dim: int,
    theta: float,
    dtype: torch.dtype,
    rounded: torch.dtype = torch.float32,
) -> Tensor:
    """Cosines and sines (2, B, 1, L, head_dim) of positions (B, L), cast to `dtype` at the end.

    The frequencies are first rounded to `rounded`, as they are where a whole model was cast to half
    precision with its buffers.
    """
    exponent = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[..., None].float() * (1.0 / theta**exponent).to(rounded).float()
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return torch.stack([angles.cos(), angles.sin()]).to(dtype)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate (B, H, L, d) by `rotary_angles`, pairing dimension i with i + d/2; in the wider dtype
    of both."""
    cos, sin = angles
    first, second = x.chunk(2, dim=-1)
    out: Tensor = x * cos + torch.cat([-second, first], dim=-1) * sin
    return out.to(x.dtype)


class Attended(NamedTuple):
    """What attention in a layer worked with.

    Attributes
    ----------
    q, k, v : Tensor (B, H or H_kv, L, d)
        Rotated queries and keys, and values, of the rows.
    keys : Tensor (B, H_kv, N + L, d)
        All keys that they attended to, cached ones first.
    normalizer : Tensor (B, H, L) or None
        Log-sum-exp of each row's scores, where it was asked for and is at hand; see `attend`.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    keys: Tensor
    normalizer: Tensor | None = None


class Attention(nn.Module):
    """Grouped-query attention, bidirectional or causal, by the kernel that the config names."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        d, hd = config.hidden_size, config.head_dim
        self.head_dim, self.causal, self.kernel = hd, config.causal, config.attention
        self.q_proj = nn.Linear(d, config.n_heads * hd, bias=config.qkv_bias)
        self.k_proj = nn.Linear(d, config.n_kv_heads * hd, bias=config.qkv_bias)
        self.v_proj = nn.Linear(d, config.n_kv_heads * hd, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.n_heads * hd, d, bias=False)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim))
        return heads.transpose(1, 2)

    def rotated(self, x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys of rows (B, L, D)."""
        q = rotate(self._heads(self.q_proj(x)), angles)
        return q, rotate(self._heads(self.k_proj(x)), angles)

    def forward(
        self,
        x: Tensor,
        angles: Tensor,
        key_mask: Tensor | None,
        past: Past | None = None,
        watched: bool = False,
    ) -> tuple[Tensor, Attended]:
        """Attend over the rows (B, L, D), after what is cached if there is a past.

        A causal row sees all of the past: several new rows at once are not made for that. Where it
        is `watched`, it also tells how its rows were normalised, if it can.
        """
        q, k = self.rotated(x, angles)
        v = self._heads(self.v_proj(x))
        keys, values, mask = (k, v, key_mask) if past is None else past.extended(k, v)
        # Padding is on the right, where no causal row looks.
        causal = self.causal and past is None
        attn_mask = None if mask is None or causal else mask[:, None, None, :]
        out, normalizer = attend(q, keys, values, attn_mask, causal, watched, self.kernel)
        return self.o_proj(out.transpose(1, 2).flatten(2)), Attended(q, k, v, keys, normalizer)


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

    def forward(
        self,
        x: Tensor,
        angles: Tensor,
        key_mask: Tensor | None,
        past: Past | None = None,
        watched: bool = False,
    ) -> tuple[Tensor, Attended]:
        """Return the new hidden states (B, L, D) and what attention worked with."""
        out, attended = self.self_attn(self.input_layernorm(x), angles, key_mask, past, watched)
        x = x + out
        return x + self.mlp(self.post_attention_layernorm(x)), attended


def run_layers(
    layers: nn.ModuleList,
    config: LanguageConfig,
    rows: TokenStates,
    hook: StackHook | None = None,
    memory: Memory | None = None,
) -> TokenStates:
    """Run every layer over `rows`; a hook may drop rows before a layer and look at its attention.

    Angles are computed once and again only when the hook changed the rows, so that survivors keep
    their positions. A memory adds cached keys and values, or keeps those of the rows.
    """
    angles = _angles(config, rows)
    for index, layer in enumerate(layers):
        if hook is not None:
            entering = hook.before_layer(index, rows)
            if entering is not rows:
                rows, angles = entering, _angles(config, entering)
        past = None if memory is None else memory.past(index)
        watched = hook is not None and hook.watches(index)
        hidden, attended = layer(rows.hidden, angles, rows.key_mask, past, watched)
        if hook is not None and watched:
            hook.on_attention(index, rows, attended)
        if memory is not None:
            memory.store(index, rows, attended.k, attended.v)
        rows = rows.with_hidden(hidden)
    return rows


def queries_keys(
    layer: nn.Module, config: LanguageConfig, rows: TokenStates
) -> tuple[Tensor, Tensor]:
    """Rotated queries and keys (B, H, L, d) of the rows that enter a layer."""
    own = cast(DecoderLayer, layer)
    return own.self_attn.rotated(own.input_layernorm(rows.hidden), _angles(config, rows))


def _angles(config: LanguageConfig, rows: TokenStates) -> Tensor:
    dtype = torch.float32 if config.wide_rotary else rows.hidden.dtype
    return rotary_angles(rows.positions, config.head_dim, config.rope_theta, dtype, config.rotary)
