"""The SigLIP vision tower and the projector into the language model's width."""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from saccade.backbones.config import LanguageConfig, TowerConfig


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


def tower_macs(tower: TowerConfig, language: LanguageConfig) -> int:
    """Exact multiply-accumulates of tower and projector for one view."""
    n, d, m, out = tower.side**2, tower.hidden_size, tower.intermediate_size, language.hidden_size
    patches = n * d * 3 * tower.patch_size**2
    layers = tower.n_layers * n * (4 * d * d + 2 * n * d + 2 * d * m)
    return patches + layers + n * out * (d + out)
