"""A random model of a few thousand weights, and made-up pages: generate takes milliseconds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from saccade.backbones import Model, Prepared
from saccade.backbones.families.family import Family
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.inputs.chat import SYSTEM
from saccade.backbones.inputs.pinpoints import parse_pinpoints
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig

TOWER = TowerConfig(16, 24, n_layers=2, n_heads=2, image_size=16, patch_size=4)
SIDE = TOWER.side
PINPOINTS = "(1x1),...,(2x2)"
MASK, FORBIDDEN = 63, (60, 61)
"""Special ids of the model without a tokenizer, whose vocabulary is 64."""


def tiny_tokenizer(family: Family = LLADA_V) -> Tokenizer:
    """One token a byte, and one for each special token and for the system sentence."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in family.published_ids])
    tokenizer.add_tokens([AddedToken(SYSTEM, special=False, normalized=False)])
    return tokenizer


def tiny_model(
    *,
    tokenizer: bool = False,
    seed: int = 0,
    vocab: int | None = None,
    n_layers: int = 4,
    n_kv_heads: int = 2,
    aspect: str = "anyres_max_2",
    max_length: int = 2048,
    family: Family = LLADA_V,
) -> Model:
    """A model with random weights; one page gives 16 visual tokens and those of its tiles.

    Parameters
    ----------
    tokenizer : bool
        With one: text goes in and out. Without: ids of 64, of which `MASK` and `FORBIDDEN`.
    seed : int
        Of the weights.
    vocab : int, optional
        Rows of the embedding; by default as many as there are ids.
    n_layers, n_kv_heads : int
        Of the decoder, which has 4 heads.
    aspect : str
        As in `ImagePreprocessor`.
    max_length : int
        Longest prompt.
    family : Family
        LLaDA-V by default.
    """
    words = tiny_tokenizer(family) if tokenizer else None
    rows = vocab or (64 if words is None else words.get_vocab_size())
    language = LanguageConfig(
        32,
        48,
        n_layers,
        4,
        n_kv_heads,
        rows,
        rms_norm_eps=family.decoder.rms_norm_eps,
        rope_theta=family.decoder.rope_theta,
        max_length=max_length,
        qkv_bias=family.decoder.qkv_bias,
        causal=family.decoder.causal,
        wide_rotary=family.decoder.wide_rotary,
    )
    network = Network(language, TOWER)
    _fill(network, torch.Generator().manual_seed(seed))
    spec = family.spec("tiny", language, None if words is None else words.token_to_id)
    if words is None:
        spec = replace(spec, mask_id=MASK, forbidden_ids=FORBIDDEN if family.forbidden else ())
    pinpoints = parse_pinpoints(PINPOINTS, TOWER.image_size)
    preprocessor = ImagePreprocessor(TOWER.image_size, pinpoints, aspect)
    return Model(network, family, spec, preprocessor, words, _config(language, aspect, family))


@torch.no_grad()
def _fill(network: Network, generator: torch.Generator) -> None:
    """Weights so large that every layer and every token matters to the answer."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0.0, 0.35, generator=generator)
        else:
            parameter.normal_(1.0, 0.1, generator=generator)


def _config(language: LanguageConfig, aspect: str, family: Family) -> dict[str, Any]:
    return {
        "model_type": family.model_types[0],
        "hidden_size": language.hidden_size,
        "intermediate_size": language.intermediate_size,
        "num_hidden_layers": language.n_layers,
        "num_attention_heads": language.n_heads,
        "num_key_value_heads": language.n_kv_heads,
        "vocab_size": language.vocab_size,
        "hidden_act": "silu",
        "tokenizer_model_max_length": language.max_length,
        "mm_vision_tower": "tiny-siglip",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_newline_position": "grid",
        "image_aspect_ratio": aspect,
        "image_grid_pinpoints": PINPOINTS,
    }


def fake_page(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A page of random rectangles."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    for _ in range(6):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        pixels[y : y + height // 3 + 1, x : x + width // 3 + 1] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def fake_request(
    model: Model, sizes: Sequence[tuple[int, int]] = ((40, 30),), seed: int = 0
) -> Prepared:
    """Random prompt ids around pages of the given (width, height); no sizes: text only."""
    rng = np.random.default_rng([seed, len(sizes)])
    ids = [int(i) for i in rng.integers(0, 59, int(rng.integers(2, 6)))]
    for _ in sizes:
        ids += [-200, *(int(i) for i in rng.integers(0, 59, int(rng.integers(1, 6))))]
    pages = [fake_page(*size, seed=seed + i) for i, size in enumerate(sizes)]
    return model.prepare_ids(ids, pages)


MIXED: tuple[list[tuple[int, int]], ...] = (
    [(40, 30)],
    [],
    [(20, 50)],
    [(16, 16)],
    [(30, 30), (50, 20)],
    [],
    [(64, 64)],
    [(90, 20)],
)
"""Pages of eight unlike requests: one or two, of any shape, or none."""


def mixed_requests(model: Model) -> list[Prepared]:
    """The eight requests of `MIXED`."""
    return [fake_request(model, sizes, seed) for seed, sizes in enumerate(MIXED)]
