"""What the layers of a model of transformers are made of, read from the layers themselves."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from saccade.backbones.hf.kept_cache import windows_of
from saccade.controller.types import LayeredGeometry, LayerGeometry


def geometry_of(config: Any, layers: Sequence[nn.Module]) -> LayeredGeometry:
    """Sizes of a pile of decoder layers, each with its own heads, window and experts."""
    sizes = tuple(map(_layer, layers, windows_of(config)))
    first, text = sizes[0], config.get_text_config(decoder=True)
    return LayeredGeometry(
        len(sizes),
        first.hidden,
        first.intermediate,
        first.n_heads,
        first.n_kv_heads,
        text.vocab_size,
        layers=sizes,
    )


def _layer(layer: Any, window: int | None) -> LayerGeometry:
    attention = layer.self_attn
    width, mlp = attention.head_dim, layer.mlp
    experts = getattr(layer, "experts", None)
    held = {} if experts is None else _experts(layer)
    return LayerGeometry(
        hidden=attention.q_proj.in_features,
        intermediate=mlp.gate_proj.out_features,
        n_heads=attention.q_proj.out_features // width,
        n_kv_heads=attention.k_proj.out_features // width,
        head_dim=width,
        window=window,
        value_proj=getattr(attention, "v_proj", None) is not None,
        **held,
    )


def _experts(layer: Any) -> dict[str, int]:
    return {
        "experts": layer.experts.num_experts,
        "experts_read": layer.router.config.top_k_experts,
        "expert_intermediate": layer.experts.intermediate_dim,
    }
