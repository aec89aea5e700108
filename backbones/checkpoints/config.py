"""Geometry of a backbone, read from a checkpoint's ``config.json``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.backbones.checkpoints.layout import USUAL, Layout
from saccade.backbones.network.sizes import (
    DecoderTraits,
    LanguageConfig,
    TextConfig,
    TowerConfig,
)
from saccade.controller.errors import CheckpointError

SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
)
"""Fields of the decoder that every config has."""
DECODER: Mapping[str, tuple[object, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False, None),
    "use_sliding_window": (False, None),
}
MULTIMODAL: Mapping[str, tuple[object, ...]] = {
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_resampler_type": (None,),
    "mm_use_im_start_end": (False, None),
}
VIDEO: Mapping[str, tuple[object, ...]] = {
    "mm_newline_position": ("grid",),
    "add_faster_video": (False, None),
}
POOLING: Mapping[str, tuple[object, ...]] = {
    "mm_spatial_pool_mode": ("bilinear", None),
}
TOWER: Mapping[str, tuple[object, ...]] = {
    "hidden_act": ("gelu_pytorch_tanh",),
    "num_channels": (3,),
}
TEXT: Mapping[str, tuple[object, ...]] = {"hidden_act": ("gelu_pytorch_tanh",)}
"""Values that fields may have where another would change what the model computes: those of videos
and of pooling only where a family reads videos or pools its views."""
ROTARY_FIELDS = ("rope_parameters", "rope_scaling")
"""What newer and older writers call the settings of the rotary positions."""
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "rope_type": ("default", None),
    "type": ("default", None),
    "partial_rotary_factor": (1, None),
    "factor": (1, None),
}
"""Settings that leave rotary positions as they are."""


def sizes(
    config: Mapping[str, Any], *names: str, file: str = "config.json", layout: Layout = USUAL
) -> list[int]:
    """Fetch sizes of a config, read from `file`; errors name them as its `layout` does.

    Raises
    ------
    CheckpointError
        Naming the fields that are missing, or one that is not a whole number above 0.
    """
    missing = [layout.field(name) for name in names if config.get(name) is None]
    if missing:
        raise CheckpointError(f"{file} lacks {', '.join(missing)}: is this a dMLLM checkpoint?")
    for name in names:
        if type(config[name]) is not int or config[name] < 1:
            raise CheckpointError(
                f"{layout.field(name)}={config[name]!r}: must be a whole number, 1 or more"
            )
    return [config[name] for name in names]


def _positive(config: Mapping[str, Any], name: str, default: float) -> float:
    """A number above 0, or `CheckpointError` naming it."""
    value = config.get(name, default)
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise CheckpointError(f"{name}={value!r}: must be a number above 0")
    return float(value)


def check_supported(config: Mapping[str, Any], supported: Mapping[str, Sequence[object]]) -> None:
    """Refuse values other than the supported ones; a field that is absent is as supported.

    Raises
    ------
    CheckpointError
        Naming the field, its value and the supported ones.
    """
    for name, allowed in supported.items():
        if name in config and config[name] not in allowed:
            known = " or ".join(map(repr, allowed))
            raise CheckpointError(f"{name}={config[name]!r} is not supported; supported: {known}")


def check_packing(config: Mapping[str, Any], *, video: bool = True, pooled: bool = True) -> None:
    """Refuse multimodal settings that `saccade.backbones.inputs.packing` does not do.

    What concerns videos is read for families with `video` alone, pooling for those and for families
    whose views are `pooled`.

    Any-resolution images are packed the "spatial_unpad" way only, and a config that does not say so
    means "flat", as in the published code. Images of one view are packed alike in both.

    Raises
    ------
    CheckpointError
        Naming the setting.
    """
    check_supported(config, MULTIMODAL)
    if video:
        check_supported(config, VIDEO)
    if video or pooled:
        check_supported(config, POOLING)
    anyres = str(config.get("image_aspect_ratio")).startswith("anyres")
    merge = {"mm_patch_merge_type": config.get("mm_patch_merge_type") or "flat"}
    allowed = ("spatial_unpad",) if anyres else ("flat", "spatial_unpad")
    check_supported(merge, {"mm_patch_merge_type": allowed})


def rope_theta(config: Mapping[str, Any], default: float) -> float:
    """The base of the rotary positions, wherever a config says it; the newest field counts.

    Raises
    ------
    CheckpointError
        For another kind of positions than the plain ones.
    """
    theta = _positive(config, "rope_theta", default)
    for name in reversed(ROTARY_FIELDS):
        given = config.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping) or not _is_plain(given):
            raise CheckpointError(
                f"{name}={given!r} is not supported; supported: rope_type 'default', perhaps with "
                "its rope_theta"
            )
        theta = _positive(given, "rope_theta", theta)
    return theta


def _is_plain(given: Mapping[str, Any]) -> bool:
    """Whether settings of rotary positions change nothing but the base."""
    others = {name: value for name, value in given.items() if name != "rope_theta"}
    return all(value in _PLAIN.get(name, (None,)) for name, value in others.items())


def language_config(
    config: Mapping[str, Any], traits: DecoderTraits, layout: Layout = USUAL
) -> LanguageConfig:
    """Read the decoder's geometry; unsupported settings raise `CheckpointError` naming them."""
    own = {layout.field(name): allowed for name, allowed in DECODER.items()}
    check_supported(config, {**own, **layout.supported})
    config = layout.read(config)
    hidden, mlp, layers, heads, vocab = sizes(config, *SIZES, layout=layout)
    optional = {
        "num_key_value_heads": heads,
        "tokenizer_model_max_length": traits.max_length,
    }
    given = optional | {name: config[name] for name in optional if config.get(name) is not None}
    kv_heads, max_length = sizes(given, *optional, layout=layout)
    if hidden % (2 * heads) or heads % kv_heads:
        shown = zip(
            ("hidden_size", "num_attention_heads", "num_key_value_heads"),
            (hidden, heads, kv_heads),
            strict=True,
        )
        raise CheckpointError(
            f"{', '.join(f'{layout.field(name)}={value}' for name, value in shown)}: "
            "heads must share the hidden size evenly, each an even number, and key heads the heads"
        )
    wide = config.get("rope_full_precision")
    return LanguageConfig(
        hidden_size=hidden,
        intermediate_size=mlp,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=kv_heads,
        vocab_size=vocab,
        rms_norm_eps=_positive(config, "rms_norm_eps", traits.rms_norm_eps),
        rope_theta=rope_theta(config, traits.rope_theta),
        max_length=max_length,
        qkv_bias=traits.qkv_bias,
        causal=traits.causal,
        wide_rotary=traits.wide_rotary if wide is None else bool(wide),
    )


def tower_config(config: Mapping[str, Any]) -> TowerConfig:
    """Read the tower's geometry from a SigLIP ``vision_config``: its last layer is not counted."""
    check_supported(config, TOWER)
    hidden, mlp, layers, heads, image, patch = sizes(
        config,
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "image_size",
        "patch_size",
        file="vision_config.json",
    )
    if layers < 2 or hidden % heads or image < patch:
        raise CheckpointError(
            f"vision tower: num_hidden_layers={layers}, hidden_size={hidden}, "
            f"num_attention_heads={heads}, image_size={image}, patch_size={patch}; need 2 layers "
            "or more, heads that share the hidden size evenly, and a whole patch in an image"
        )
    eps = _positive(config, "layer_norm_eps", 1e-6)
    return TowerConfig(hidden, mlp, layers - 1, heads, image, patch, eps)


_TEXT_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 32000,
    "max_position_embeddings": 64,
}
"""SigLIP's base model: published configs leave out what is as there."""


def text_config(config: Mapping[str, Any]) -> TextConfig:
    """Read the text tower's geometry from a SigLIP's ``text_config``; what it does not name is that
    of SigLIP's base model. Unsupported settings raise `CheckpointError` naming them."""
    check_supported(config, TEXT)
    given = _TEXT_DEFAULTS | {k: config[k] for k in _TEXT_DEFAULTS if config.get(k) is not None}
    hidden, mlp, layers, heads, vocab, length = sizes(given, *_TEXT_DEFAULTS)
    projection = {"projection_size": config.get("projection_size") or hidden}
    if hidden % heads:
        raise CheckpointError(
            f"text_config: hidden_size={hidden}, num_attention_heads={heads}: heads must share the "
            "hidden size evenly"
        )
    pad = config.get("pad_token_id", 1) or 0
    if type(pad) is not int or not 0 <= pad < vocab:
        raise CheckpointError(f"pad_token_id={pad!r}: must be a token below vocab_size={vocab}")
    eps = _positive(config, "layer_norm_eps", 1e-6)
    (size,) = sizes(projection, "projection_size")
    return TextConfig(hidden, mlp, layers, heads, vocab, size, length, pad, eps)
