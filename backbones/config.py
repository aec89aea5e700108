"""Geometry of a backbone, read from a checkpoint's ``config.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saccade.controller.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """Geometry of the decoder stack.

    Attributes
    ----------
    hidden_size, intermediate_size : int
        Widths of the residual stream and of the gated MLP.
    n_layers, n_heads, n_kv_heads : int
    vocab_size : int
        Rows of ``embed_tokens`` and ``lm_head``.
    rms_norm_eps, rope_theta : float
    max_length : int
        Longest prompt in tokens; longer ones are cut from the right.
    """

    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 500000.0
    max_length: int = 16384

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.n_heads


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Geometry of the SigLIP vision tower; `n_layers` counts the layers that run."""

    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    image_size: int
    patch_size: int
    layer_norm_eps: float = 1e-6

    @property
    def side(self) -> int:
        """Patches along one side of a view."""
        return self.image_size // self.patch_size


SO400M = TowerConfig(1152, 4304, 26, 16, image_size=384, patch_size=14)
"""SigLIP(2) so400m patch14 384 as LLaDA-V uses it: 26 of its 27 layers run."""


def require(config: Mapping[str, Any], *names: str) -> list[Any]:
    """Fetch fields of a config, or say which are missing.

    Raises
    ------
    CheckpointError
        Naming the missing fields.
    """
    missing = [name for name in names if config.get(name) is None]
    if missing:
        raise CheckpointError(
            f"config.json lacks {', '.join(missing)}: is this a dMLLM checkpoint?"
        )
    return [config[name] for name in names]


def language_config(config: Mapping[str, Any]) -> LanguageConfig:
    """Read the decoder's geometry; unsupported settings raise `CheckpointError` naming them."""
    hidden, mlp, layers, heads, vocab = require(
        config,
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
    )
    for name, allowed in (("hidden_act", "silu"), ("rope_scaling", None)):
        if config.get(name, allowed) != allowed:
            raise CheckpointError(
                f"{name}={config[name]!r} is not supported; supported: {allowed!r}"
            )
    return LanguageConfig(
        hidden_size=hidden,
        intermediate_size=mlp,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=config.get("num_key_value_heads") or heads,
        vocab_size=vocab,
        rms_norm_eps=config.get("rms_norm_eps", 1e-5),
        rope_theta=config.get("rope_theta", 500000.0),
        max_length=config.get("tokenizer_model_max_length") or 16384,
    )


def tower_config(config: Mapping[str, Any]) -> TowerConfig:
    """Read the tower's geometry from a SigLIP ``vision_config``: its last layer is not counted."""
    hidden, mlp, layers, heads, image, patch = require(
        config,
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "image_size",
        "patch_size",
    )
    eps = config.get("layer_norm_eps", 1e-6)
    return TowerConfig(hidden, mlp, layers - 1, heads, image, patch, eps)
