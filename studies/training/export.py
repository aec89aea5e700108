"""From a trained network to a checkpoint in the real layout."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from saccade.backbones.families import llada_v
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.model import Model
from saccade.backbones.network.network import Network


def checkpoint_config(network: Network, family: Family, tokenizer: Tokenizer) -> dict[str, Any]:
    """The ``config.json`` of an embedded model, in the fields of its family."""
    language, tower = network.language, network.tower
    return {
        "architectures": [family.architecture],
        "model_type": family.model_types[0],
        "hidden_size": language.hidden_size,
        "intermediate_size": language.intermediate_size,
        "num_hidden_layers": language.n_layers,
        "num_attention_heads": language.n_heads,
        "num_key_value_heads": language.n_kv_heads,
        "vocab_size": language.vocab_size,
        "hidden_act": "silu",
        "rms_norm_eps": language.rms_norm_eps,
        "rope_theta": language.rope_theta,
        "rope_scaling": None,
        "max_position_embeddings": 2048,
        "tokenizer_model_max_length": 2048,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "bos_token_id": tokenizer.token_to_id(family.template.bos or family.pad),
        "eos_token_id": tokenizer.token_to_id(family.pad),
        "mm_vision_tower": "saccade-siglip-patch8-96",
        "mm_hidden_size": tower.hidden_size,
        "mm_projector_type": "mlp2x_gelu",
        "mm_patch_merge_type": "flat",
        "mm_newline_position": "grid",
        "image_aspect_ratio": "square",
        "use_mm_proj": True,
    }


def export(
    network: Network,
    tokenizer: Tokenizer,
    folder: str | Path,
    family: Family = llada_v.FAMILY,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a checkpoint that `load` reads; weights are rounded to `dtype`."""
    preprocessor = ImagePreprocessor(network.tower.image_size, (), "square", family.rows_first)
    spec = family.spec("embedded", network.language, tokenizer.token_to_id)
    config = checkpoint_config(network, family, tokenizer)
    model = Model(network.to(dtype), family, spec, preprocessor, tokenizer, config)
    model.save_pretrained(folder)
