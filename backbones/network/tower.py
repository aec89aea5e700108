"""The SigLIP vision tower and the projector into the language model's width."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from saccade.backbones.network.siglip import SiglipLayer, SiglipVision
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.controller.views import Reduce


class VisionTower(nn.Module):
    """SigLIP's vision tower, which gives the raw residual stream after its last layer.

    The published families delete SigLIP's last layer and its pooling head and do not apply the
    final norm (``post_layernorm`` is kept for the checkpoint's sake and for methods that compare
    patches with the question).
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.vision_tower = SiglipVision(config)
        self.config = config

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode views (V, 3, S, S) into features (V, patches, D_v), row-major."""
        out: Tensor = self.vision_tower(pixels)
        return out.to(pixels.dtype)

    @property
    def layers(self) -> list[SiglipLayer]:
        """The encoder's layers."""
        return cast(list[SiglipLayer], list(self.vision_tower.encoder.layers))

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` gives, and the queries and keys (V, H, patches, d) of the last layer.

        The layers are called one by one: a hook on them would see what other threads run, and
        nothing of a tower that is compiled.
        """
        hidden = self.vision_tower.embeddings(pixels)
        *before, last = self.layers
        for layer in before:
            hidden = layer(hidden)
        hidden, q, k = last.attended(hidden)
        return last.fed(hidden).to(pixels.dtype), q, k

    def reduced(self, pixels: Tensor, reduce: Reduce) -> tuple[Tensor, list[int]]:
        """What `forward` gives when rows are taken out between attention and MLP of every layer:
        (V, t, D_v), and how many entered each layer's attention, and at last the projector."""
        hidden: Tensor = self.vision_tower.embeddings(pixels)
        counts = [hidden.shape[1]]
        for number, layer in enumerate(self.layers):
            bias = reduce.bias()
            added = None if bias is None else bias[:, None, None, :].to(hidden.dtype)
            hidden, _, keys = layer.attended(hidden, added)
            hidden = layer.fed(reduce(number, hidden, keys))
            counts.append(hidden.shape[1])
        return hidden.to(pixels.dtype), counts


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
