"""Objects of the stand-ins: small random ones, the recorded ones, and what is asked of them."""

import functools
from typing import Any

import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn

from saccade.backbones.families.llada_v import FAMILY as LLADA
from tests.backbones.published.arch import PLACEHOLDER, canvas
from tests.backbones.published.dream import LlavaDreamForMaskedDiffusion
from tests.backbones.published.layers import Config
from tests.backbones.published.llada import LlavaLLaDAModelLM
from tests.golden_sets import golden_arrays, golden_json

VOCAB, MASK = 96, 90
TILE = 16
PINPOINTS = [[TILE * w, TILE * h] for w in (1, 2) for h in (1, 2)]
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": TILE,
    "patch_size": 4,
    "layer_norm_eps": 1e-6,
    "hidden_act": "gelu_pytorch_tanh",
}
FIELDS = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCAB,
    "hidden_act": "silu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_newline_position": "grid",
    "mm_projector_type": "mlp2x_gelu",
    "image_grid_pinpoints": PINPOINTS,
    "tokenizer_model_max_length": 512,
}
SPECIAL = {
    "<|startoftext|>": 80,
    "<|endoftext|>": 81,
    "<|start_header_id|>": 82,
    "<|end_header_id|>": 83,
    "<|eot_id|>": 84,
    "<|im_start|>": 85,
    "<|im_end|>": 86,
    "<|mdm_mask|>": MASK,
    "<|mask|>": MASK + 1,
}
FORBIDDEN = [SPECIAL[token] for token in LLADA.forbidden]


@torch.no_grad()
def fill(model: nn.Module, seed: int = 0) -> None:
    """Weights so large that every layer and every token matters to the answer."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        one = parameter.ndim == 1
        parameter.normal_(float(one), 0.1 if one else 0.35, generator=generator)


def llada(seed: int = 0, **fields: Any) -> LlavaLLaDAModelLM:
    """A small random object of LLaDA-V's class."""
    own = {"rms_norm_eps": 1e-5, "rope_theta": 500000.0, "image_aspect_ratio": "anyres_max_2"}
    model = LlavaLLaDAModelLM(Config(**FIELDS | own | fields), Config(**VISION))
    model.forbidden = tuple(FORBIDDEN)
    fill(model, seed)
    return model


def dream(seed: int = 0, **fields: Any) -> LlavaDreamForMaskedDiffusion:
    """A small random object of LaViDa-Dream's class."""
    own = {"rms_norm_eps": 1e-6, "rope_theta": 1e6, "image_aspect_ratio": "anyres"}
    own |= {"mask_token_id": MASK}
    model = LlavaDreamForMaskedDiffusion(Config(**FIELDS | own | fields), Config(**VISION))
    fill(model, seed)
    return model


def words(size: int = VOCAB, special: dict[str, int] | None = None) -> Tokenizer:
    """A tokenizer of one word an id, special ones where an object has them."""
    names = {number: name for name, number in (special or SPECIAL).items()}
    return Tokenizer(
        models.WordLevel({names.get(i, f"w{i}"): i for i in range(size)}, unk_token="w0")
    )


class Coder:
    """A tokenizer as callers hand it to generate: texts to the ids that it was told."""

    def __init__(self, **known: list[int]) -> None:
        self.known = known

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(self.known[text])


def views(width: int, height: int, seed: int = 0) -> Tensor:
    """Random views of a picture of some size: the whole, and its tiles."""
    w, h = canvas(PINPOINTS, width, height)
    n = 1 + (w // TILE) * (h // TILE)
    return torch.rand(n, 3, TILE, TILE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def prompt(pictures: int = 1, seed: int = 0) -> Tensor:
    """Random ids (1, L) with placeholders."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 79, (4,), generator=generator).tolist()
    for _ in range(pictures):
        ids += [PLACEHOLDER, *torch.randint(0, 79, (3,), generator=generator).tolist()]
    return torch.tensor([ids])


def page(size: tuple[int, int] = (40, 30), seed: int = 0) -> dict[str, Any]:
    """Arguments of a call about one picture."""
    return {"inputs": prompt(1, seed), "images": [views(*size, seed)], "image_sizes": [size]}


@functools.cache
def recorded_llada() -> LlavaLLaDAModelLM:
    """The object whose answers were recorded."""
    config = Config(**golden_json("llada_v", "checkpoint/config.json"))
    vision = Config(**golden_json("llada_v", "checkpoint/vision_config.json"))
    model = LlavaLLaDAModelLM(config, vision)
    ids = golden_json("llada_v", "multimodal.json")["special_ids"]
    model.forbidden = tuple(ids[name] for name in ("eos", "bos", "start_header", "end_header"))
    _load(model, golden_arrays("llada_v", "checkpoint/model.safetensors"))
    return model


@functools.cache
def recorded_dream() -> LlavaDreamForMaskedDiffusion:
    """The object whose answers were recorded."""
    config = Config(**golden_json("lavida_dream", "config.json"))
    vision = golden_json("lavida_dream", "siglip-tiny/config.json")
    model = LlavaDreamForMaskedDiffusion(config, Config(**vision.get("vision_config", vision)))
    _load(model, golden_arrays("lavida_dream", "model.safetensors"))
    return model


def _load(model: nn.Module, stored: dict[str, Any]) -> None:
    model.load_state_dict({name: torch.from_numpy(value) for name, value in stored.items()})
