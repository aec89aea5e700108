"""Checkpoints of other writers: what is passed over, supported or refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones import Model, load
from saccade.controller import CheckpointError
from tests.backbones.checkpoints.checkpoints import SINGLE, assert_same, edit_json, edit_weights

SIGLIP = "model.vision_tower.vision_tower.vision_model."


@pytest.mark.parametrize(
    "key",
    [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.rotary_emb.inv_freq",
        f"{SIGLIP}embeddings.position_ids",
        f"{SIGLIP}head.probe",
        f"{SIGLIP}head.attention.in_proj_weight",
        f"{SIGLIP}encoder.layers.2.self_attn.q_proj.weight",
    ],
)
def test_keys_that_no_model_uses_are_passed_over(key: str, folder: Path, model: Model) -> None:
    edit_weights(folder / SINGLE, lambda t: t.update({key: torch.zeros(1, dtype=torch.int64)}))
    assert_same(load(folder, device="cpu"), model)


@pytest.mark.parametrize(
    "key",
    [
        f"{SIGLIP}encoder.layers.3.layer_norm1.bias",
        f"{SIGLIP}header.probe",
        "model.head.probe",
        "model.layers.0.self_attn.q_proj.bias",
        "position_ids",
    ],
)
def test_no_other_key_is_passed_over(key: str, folder: Path) -> None:
    edit_weights(folder / SINGLE, lambda t: t.update({key: torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=f"unexpected keys 1: {key}"):
        load(folder, device="cpu")


def test_a_tied_head_is_the_embedding(speaking_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tied"
    shutil.copytree(speaking_folder, folder)
    edit_weights(folder / SINGLE, lambda t: t.pop("lm_head.weight"))
    with pytest.raises(CheckpointError, match="missing keys 1: lm_head.weight"):
        load(folder, device="cpu")
    edit_json(folder / "config.json", tie_word_embeddings=True)
    own = load(folder, device="cpu")
    head, embedding = own.network.lm_head.weight, own.network.model.embed_tokens.weight
    assert torch.equal(head, embedding) and head.data_ptr() != embedding.data_ptr()
    own.save_pretrained(tmp_path / "again")
    assert_same(load(tmp_path / "again", device="cpu"), own)
    saved = json.loads((tmp_path / "again" / "config.json").read_text())
    assert saved["tie_word_embeddings"] is False  # other loaders must not replace the stored head


PUBLISHED: dict[str, Any] = {
    "attention_bias": False,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_newline_position": "grid",
    "mm_spatial_pool_mode": "bilinear",
    "mm_spatial_pool_stride": None,
    "add_faster_video": False,
    "faster_token_stride": 10,
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "mm_resampler_type": None,
    "mm_vision_select_layer": -2,
}


def test_the_published_settings_are_supported(folder: Path, model: Model) -> None:
    edit_json(folder / "config.json", **PUBLISHED)
    assert_same(load(folder, device="cpu"), model)


@pytest.mark.parametrize("aspect", ["square", "pad"])
@pytest.mark.parametrize("merge", ["flat", "spatial_unpad", None, ...])
def test_one_view_is_packed_alike_in_both_ways(aspect: str, merge: Any, folder: Path) -> None:
    edit_json(folder / "config.json", image_aspect_ratio=aspect, mm_patch_merge_type=merge)
    assert load(folder, device="cpu").preprocessor.aspect == aspect


UNSUPPORTED: list[tuple[str, str, Any]] = [
    ("config.json", "attention_bias", True),
    ("config.json", "mm_patch_merge_type", "flat"),
    ("config.json", "mm_patch_merge_type", "spatial"),
    ("config.json", "mm_newline_position", "one_token"),
    ("config.json", "mm_newline_position", "frame"),
    ("config.json", "add_faster_video", True),
    ("config.json", "mm_projector_type", "linear"),
    ("config.json", "mm_resampler_type", "spatial_pool"),
    ("config.json", "mm_spatial_pool_mode", "average"),
    ("config.json", "mm_use_im_start_end", True),
    ("vision_config.json", "hidden_act", "gelu"),
    ("vision_config.json", "num_channels", 1),
]


@pytest.mark.parametrize(("file", "name", "value"), UNSUPPORTED)
def test_settings_that_would_change_the_answer(
    file: str, name: str, value: Any, folder: Path
) -> None:
    edit_json(folder / file, **{name: value})
    with pytest.raises(CheckpointError, match=f"{name}={value!r} is not supported; supported: "):
        load(folder, device="cpu")


SIZES = {
    "config.json": ("hidden_size", "num_hidden_layers", "num_key_value_heads", "vocab_size"),
    "vision_config.json": ("hidden_size", "num_attention_heads", "image_size", "patch_size"),
}


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, names in SIZES.items() for n in names])
@pytest.mark.parametrize("value", ["64", 64.5, -4, 0, True, [64]])
def test_sizes_are_whole_numbers(file: str, name: str, value: Any, folder: Path) -> None:
    edit_json(folder / file, **{name: value})
    with pytest.raises(CheckpointError, match=re.escape(f"{name}={value!r}: must be a whole")):
        load(folder, device="cpu")


@pytest.mark.parametrize("name", ["rms_norm_eps", "rope_theta"])
@pytest.mark.parametrize("value", ["x", None, 0, -1.0, True])
def test_numbers_are_above_zero(name: str, value: Any, folder: Path) -> None:
    edit_json(folder / "config.json", **{name: value})
    with pytest.raises(CheckpointError, match=re.escape(f"{name}={value!r}: must be a number")):
        load(folder, device="cpu")
