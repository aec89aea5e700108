"""Modules of a LLaVA-style network under the names real checkpoints use."""

import torch
from torch import Tensor, nn

from saccade.backbones.network.decoder import (
    DecoderLayer,
    Memory,
    RMSNorm,
    StackHook,
    queries_keys,
    run_layers,
)
from saccade.backbones.network.siglip import embedding
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.network.token_states import TokenStates
from saccade.backbones.network.tower import VisionTower, make_projector


class Trunk(nn.Module):
    """Everything below ``model.``: embeddings, layers, norm, tower, projector, newline."""

    def __init__(self, language: LanguageConfig, tower: TowerConfig) -> None:
        super().__init__()
        d = language.hidden_size
        self.embed_tokens = embedding(language.vocab_size, d)
        self.layers = nn.ModuleList(DecoderLayer(language) for _ in range(language.n_layers))
        self.norm = RMSNorm(d, language.rms_norm_eps)
        self.vision_tower = VisionTower(tower)
        self.mm_projector = make_projector(tower.hidden_size, d)
        self.image_newline = nn.Parameter(torch.zeros(d))


class Network(nn.Module):
    """Trunk and output head. Knows tensors only: no prompts, images, steps or plans."""

    def __init__(self, language: LanguageConfig, tower: TowerConfig) -> None:
        super().__init__()
        self.language = language
        self.tower = tower
        self.model = Trunk(language, tower)
        self.lm_head = nn.Linear(language.hidden_size, language.vocab_size, bias=False)

    def encode_views(self, pixels: Tensor) -> Tensor:
        """Views (V, 3, S, S) to projected features (V, patches, D)."""
        out: Tensor = self.model.mm_projector(self.model.vision_tower(pixels))
        return out

    def run(
        self, rows: TokenStates, hook: StackHook | None = None, memory: Memory | None = None
    ) -> TokenStates:
        """Run the decoder layers; hidden states come back before the final norm."""
        return run_layers(self.model.layers, self.language, rows, hook, memory)

    def queries_keys(self, layer: int, rows: TokenStates) -> tuple[Tensor, Tensor]:
        """Rotated queries and keys (B, H, L, d) that a layer would make of the rows entering it."""
        return queries_keys(self.model.layers[layer], self.language, rows)

    def logits(self, hidden: Tensor) -> Tensor:
        """Final norm and head over hidden states (..., D), as float32 (..., V)."""
        out: Tensor = self.lm_head(self.model.norm(hidden))
        return out.float()
