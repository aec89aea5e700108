"""The layers of the stand-ins for published objects: plain, slow, and independent of Saccade's."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]


class Config:
    """Fields, as attributes and as a dict."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class Norm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class Rotary(nn.Module):
    inv_freq: Tensor

    def __init__(self, head: int, theta: float) -> None:
        super().__init__()
        frequencies = 1.0 / theta ** (torch.arange(0, head, 2).float() / head)
        self.register_buffer("inv_freq", frequencies, persistent=False)

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Rotate (1, H, L, d), of which the first stands at `start`."""
        places = torch.arange(start, start + x.shape[2], device=x.device).float()
        angles = torch.outer(places, self.inv_freq.float()).repeat(1, 2)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        half = x.shape[-1] // 2
        return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    def __init__(self, c: Config, bias: bool) -> None:
        super().__init__()
        self.head = c.hidden_size // c.num_attention_heads
        keys = c.num_key_value_heads * self.head
        self.q_proj = nn.Linear(c.hidden_size, c.hidden_size, bias=bias)
        self.k_proj = nn.Linear(c.hidden_size, keys, bias=bias)
        self.v_proj = nn.Linear(c.hidden_size, keys, bias=bias)
        self.o_proj = nn.Linear(c.hidden_size, c.hidden_size, bias=False)
        self.rotary_emb = Rotary(self.head, c.rope_theta)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Any]:
        q, k, v = (
            p(x).unflatten(-1, (-1, self.head)).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        start = 0 if past is None else past[0].shape[2]
        q, k = self.rotary_emb(q, start), self.rotary_emb(k, start)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        times = q.shape[1] // k.shape[1]
        keys, values = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        scores = (q @ keys.transpose(2, 3)) * self.head**-0.5
        mixed = scores.float().softmax(-1).to(q.dtype) @ values
        return self.o_proj(mixed.transpose(1, 2).flatten(2)), (k, v)


class GatedMLP(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class DecoderLayer(nn.Module):
    def __init__(self, c: Config, bias: bool) -> None:
        super().__init__()
        self.self_attn = Attention(c, bias)
        self.mlp = GatedMLP(c)
        self.input_layernorm = Norm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = Norm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Any]:
        mixed, cached = self.self_attn(self.input_layernorm(x), past)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), cached


class VisionAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.add_module(name, nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            self.get_submodule(f"{n}_proj")(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for n in "qkv"
        )
        scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5
        mixed = scores.float().softmax(-1).to(q.dtype) @ v
        out: Tensor = self.get_submodule("out_proj")(mixed.transpose(1, 2).flatten(2))
        return out


class VisionMLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class VisionLayer(nn.Module):
    def __init__(self, v: Config) -> None:
        super().__init__()
        self.self_attn = VisionAttention(v.hidden_size, v.num_attention_heads)
        self.layer_norm1 = nn.LayerNorm(v.hidden_size, v.layer_norm_eps)
        self.layer_norm2 = nn.LayerNorm(v.hidden_size, v.layer_norm_eps)
        self.mlp = VisionMLP(v.hidden_size, v.intermediate_size)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    def __init__(self, v: Config) -> None:
        super().__init__()
        patch, side = v.patch_size, v.image_size // v.patch_size
        self.patch_embedding = nn.Conv2d(3, v.hidden_size, patch, patch)
        self.position_embedding = nn.Embedding(side**2, v.hidden_size)
        self.register_buffer("position_ids", torch.arange(side**2)[None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return patches + self.position_embedding.weight


class Encoder(nn.Module):
    def __init__(self, v: Config, n: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(v) for _ in range(n))


class VisionTransformer(nn.Module):
    """All of its layers but the last one, which published code deletes."""

    def __init__(self, v: Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(v)
        self.encoder = Encoder(v, v.num_hidden_layers - 1)
        self.post_layernorm = nn.LayerNorm(v.hidden_size, v.layer_norm_eps)


class VisionModel(nn.Module):
    def __init__(self, v: Config) -> None:
        super().__init__()
        self.config = v
        self.vision_model = VisionTransformer(v)


class VisionTower(nn.Module):
    """As `get_vision_tower` of published objects gives it; perhaps without its weights yet."""

    def __init__(self, v: Config, loaded: bool = True) -> None:
        super().__init__()
        self.config, self.is_loaded = v, False
        self.image_processor = SimpleNamespace(
            size=(v.image_size, v.image_size), image_mean=(0.5, 0.5, 0.5), image_std=(0.5,) * 3
        )
        if loaded:
            self.load_model()

    def load_model(self) -> None:
        self.vision_tower, self.is_loaded = VisionModel(self.config), True

    def forward(self, pixels: Tensor) -> Tensor:
        inner = self.vision_tower.vision_model
        x = inner.embeddings(pixels.to(inner.post_layernorm.weight.dtype))
        for layer in inner.encoder.layers:
            x = layer(x)
        return x.to(pixels.dtype)


class Trunk(nn.Module):
    """What is below ``model.``."""

    def __init__(self, c: Config, v: Config, bias: bool, loaded: bool = True) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(c, bias) for _ in range(c.num_hidden_layers))
        self.norm = Norm(c.hidden_size, c.rms_norm_eps)
        self.vision_tower = VisionTower(v, loaded)
        self.mm_projector = nn.Sequential(
            nn.Linear(v.hidden_size, c.hidden_size),
            nn.GELU(),
            nn.Linear(c.hidden_size, c.hidden_size),
        )
        self.image_newline = nn.Parameter(torch.zeros(c.hidden_size))

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        kept: Cache = []
        for number, layer in enumerate(self.layers):
            x, own = layer(x, None if cache is None else cache[number])
            kept.append(own)
        return self.norm(x), kept
