"""The SigLIP vision tower and the projector into the language model's width."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SiglipVisionConfig, SiglipVisionModel

from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.controller.views import Reduce


class VisionTower(nn.Module):
    """transformers' SigLIP encoder, returning the raw residual stream after its last layer.

    The published families delete SigLIP's last layer and its pooling head and do not apply the
    final norm (``post_layernorm`` is kept for the checkpoint's sake and never runs).
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        siglip = SiglipVisionConfig(
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            image_size=config.image_size,
            patch_size=config.patch_size,
            layer_norm_eps=config.layer_norm_eps,
            vision_use_head=False,
        )
        siglip._attn_implementation = "sdpa"
        self.vision_tower = SiglipVisionModel(siglip)
        self.config = config

    @property
    def transformer(self) -> nn.Module:
        """The module that holds ``embeddings`` and ``encoder``, wherever transformers keeps it."""
        inner = getattr(self.vision_tower, "vision_model", self.vision_tower)
        return cast(nn.Module, inner)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode views (V, 3, S, S) into features (V, patches, D_v), row-major."""
        inner = self.transformer
        hidden = inner.embeddings(pixels)  # type: ignore[operator]
        out = inner.encoder(inputs_embeds=hidden)  # type: ignore[operator]
        return cast(Tensor, out.last_hidden_state).to(pixels.dtype)

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        return cast(nn.ModuleList, self.transformer.encoder.layers)  # type: ignore[union-attr]

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` gives, and the queries and keys (V, H, patches, d) of the last layer.

        The layers are called one by one: a hook on them would see what other threads run, and
        nothing of a tower that is compiled.
        """
        hidden = self.transformer.embeddings(pixels)  # type: ignore[operator]
        *before, last = self.layers
        for layer in before:
            hidden = _encoded(layer, hidden)
        own: Any = last
        x = own.layer_norm1(hidden)
        q, k = (self._heads(project(x)) for project in (own.self_attn.q_proj, own.self_attn.k_proj))
        return _encoded(last, hidden).to(pixels.dtype), q, k

    def reduced(self, pixels: Tensor, reduce: Reduce) -> tuple[Tensor, list[int]]:
        """What `forward` gives when rows are taken out between attention and MLP of every layer:
        (V, t, D_v), and how many entered each layer's attention, and at last the projector."""
        hidden = self.transformer.embeddings(pixels)  # type: ignore[operator]
        counts = [hidden.shape[1]]
        for number, module in enumerate(self.layers):
            layer: Any = module
            attention = layer.self_attn
            x = layer.layer_norm1(hidden)
            q, k, v = (
                self._heads(project(x))
                for project in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            bias = reduce.bias()
            mask = None if bias is None else bias[:, None, None, :].to(q.dtype)
            out = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
            hidden = reduce(number, hidden + attention.out_proj(out), k)
            hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
            counts.append(hidden.shape[1])
        return hidden.to(pixels.dtype), counts

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.config.n_heads, -1))
        return heads.transpose(1, 2)


def _encoded(layer: nn.Module, hidden: Tensor) -> Tensor:
    """What a layer of the encoder makes of all patches; older ones give it in a tuple."""
    out = layer(hidden, attention_mask=None)
    return cast(Tensor, out[0] if isinstance(out, tuple) else out)


def make_projector(vision_size: int, hidden_size: int) -> nn.Sequential:
    """Linear, exact GELU, Linear, with biases (``mlp2x_gelu``)."""
    return nn.Sequential(
        nn.Linear(vision_size, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size)
    )


@torch.no_grad()
def init_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Fill a fresh network so that small widths learn: every matrix keeps the scale of its input.

    Matrices are normal with variance 1 / fan-in, embeddings (and the newline) unit normal, the
    output head small so that training starts from even predictions, biases zero, norms one.
    """
    for name, parameter in module.named_parameters():
        if "lm_head" in name or "position_embedding" in name:
            parameter.normal_(0.0, 0.02, generator=generator)
        elif "embed_tokens" in name or name.endswith("image_newline"):
            parameter.normal_(0.0, 1.0, generator=generator)
        elif parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.normal_(0.0, fan_in**-0.5, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1.0)


def tower_macs(
    tower: TowerConfig, language: LanguageConfig, rows: Sequence[int] | None = None
) -> int:
    """Exact multiply-accumulates of tower and projector for one view.

    `rows` are those that enter each layer's attention, and at last the projector, where a method
    reduces them between attention and MLP; all patches by default.
    """
    n, d, m, out = tower.side**2, tower.hidden_size, tower.intermediate_size, language.hidden_size
    counts = [n] * (tower.n_layers + 1) if rows is None else rows
    patches = n * d * 3 * tower.patch_size**2
    attention = sum(t * (4 * d * d + 2 * t * d) for t in counts[:-1])
    return (
        patches + attention + sum(t * 2 * d * m for t in counts[1:]) + counts[-1] * out * (d + out)
    )
