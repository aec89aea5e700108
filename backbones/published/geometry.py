"""The sizes of a published object, from its tensors and, where those do not say, its config."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from saccade.backbones.checkpoints.config import check_supported, language_config
from saccade.backbones.families.family import Family
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.published.weights import TOWER
from saccade.controller.errors import CapabilityError

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
ENDLESS = 2**31 - 1
"""Longest prompt where a config names none: published code cuts nothing then."""
ROUNDED = (torch.float32, torch.bfloat16, torch.float16)


def config_of(given: Any) -> dict[str, Any]:
    """The fields of a config object."""
    return dict(given.to_dict() if hasattr(given, "to_dict") else vars(given))


def language_of(
    config: Mapping[str, Any], family: Family, tensors: Mapping[str, Tensor]
) -> LanguageConfig:
    """Sizes of the decoder: its vocabulary is what the tensors hold, whatever the config says.

    Raises
    ------
    CapabilityError
        If embedding and head are of different lengths, or positions are rotated in another way.
    CheckpointError
        As `language_config`.
    """
    rows = {len(tensors[name]) for name in (EMBEDDING, HEAD) if name in tensors}
    if len(rows) != 1:
        raise CapabilityError(
            f"embedding and head have {' and '.join(map(str, sorted(rows))) or 'no'} rows; they "
            "need the same number: model.resize_token_embeddings(n) sets both"
        )
    longest = config.get("tokenizer_model_max_length") or ENDLESS
    given = {**config, "vocab_size": rows.pop(), "tokenizer_model_max_length": longest}
    language = language_config(given, family.decoder)
    return replace(language, rotary=_rotary(language, family, tensors))


def _rotary(language: LanguageConfig, family: Family, tensors: Mapping[str, Tensor]) -> torch.dtype:
    """What the object's rotary frequencies were rounded to, by the frequencies themselves."""
    buffers = [t for n, t in tensors.items() if n.endswith("rotary_emb.inv_freq")]
    dtype = tensors[HEAD].dtype
    if not buffers:
        half = family.decoder.rounded_rotary and dtype == torch.bfloat16
        return torch.bfloat16 if half else torch.float32
    exponent = torch.arange(0, language.head_dim, 2).float() / language.head_dim
    exact = 1.0 / language.rope_theta**exponent
    for kind in ROUNDED:
        wanted = exact.to(kind).float()
        if all(_alike(buffer.cpu().float(), wanted) for buffer in buffers):
            return kind
    raise CapabilityError(
        f"the object's rotary frequencies are not those of rope_theta={language.rope_theta:g}: "
        "positions that are scaled are not computed; wrap an object without scaling"
    )


def _alike(given: Tensor, wanted: Tensor) -> bool:
    return given.shape == wanted.shape and torch.allclose(given, wanted, rtol=1e-5, atol=1e-9)


def tower_of(published: Any, tensors: Mapping[str, Tensor]) -> TowerConfig:
    """Sizes of the vision tower; layers are counted as they are there.

    Raises
    ------
    CapabilityError
        If there is no tower, it is not loaded yet, or its config and tensors differ.
    CheckpointError
        If it computes something else than SigLIP does.
    """
    tower = _tower(published)
    patches = tensors.get(f"{TOWER}embeddings.patch_embedding.weight")
    places = tensors.get(f"{TOWER}embeddings.position_embedding.weight")
    first = tensors.get(f"{TOWER}encoder.layers.0.mlp.fc1.weight")
    if patches is None or places is None or first is None:
        raise CapabilityError(
            f"the vision tower ({type(tower).__name__}) has no tensors of a SigLIP at {TOWER}*: "
            "other towers are not supported"
        )
    config = config_of(_tower_config(tower))
    check_supported(config, {"hidden_act": ("gelu_pytorch_tanh",), "num_channels": (3,)})
    layers = {int(n.split(".")[5]) for n in tensors if n.startswith(f"{TOWER}encoder.layers.")}
    made = TowerConfig(
        patches.shape[0],
        first.shape[0],
        len(layers),
        int(config.get("num_attention_heads", 0)),
        int(config.get("image_size", 0)),
        patches.shape[-1],
        float(config.get("layer_norm_eps", 1e-6)),
    )
    heads, side = made.n_heads, math.isqrt(len(places))
    if heads < 1 or made.hidden_size % heads or made.side != side or side**2 != len(places):
        raise CapabilityError(
            f"the vision tower has {len(places)} places and width {made.hidden_size}; its config "
            f"says image_size={made.image_size}, patch_size={made.patch_size}, "
            f"num_attention_heads={heads}, which do not fit"
        )
    return made


def _tower(published: Any) -> nn.Module:
    """The object's tower, with its weights."""
    get = getattr(published, "get_vision_tower", None)
    tower = None if get is None else get()
    tower = tower[0] if isinstance(tower, list) and tower else tower
    if not isinstance(tower, nn.Module):
        raise CapabilityError("the object has no vision tower: it was loaded as a language model")
    inner = getattr(tower, "vision_tower", None)
    if not getattr(tower, "is_loaded", True) or not isinstance(inner, nn.Module):
        raise CapabilityError(
            "the vision tower is not loaded yet: call model.get_vision_tower().load_model() first"
        )
    return tower


def _tower_config(tower: Any) -> Any:
    """The config that its layers were made with."""
    inner = getattr(tower.vision_tower, "config", None)
    found = getattr(tower, "config", None) if inner is None else inner
    if found is None:
        raise CapabilityError(f"the vision tower ({type(tower).__name__}) has no config")
    return getattr(found, "vision_config", None) or found
