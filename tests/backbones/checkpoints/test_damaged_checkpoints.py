"""What is wrong with a checkpoint is named."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.backbones import load
from saccade.backbones.checkpoints.json_files import read_json
from saccade.controller import CheckpointError
from tests.backbones.checkpoints.checkpoints import (
    INDEX,
    SHAPE,
    SINGLE,
    edit_json,
    edit_weights,
    truncate,
)
from tests.tiny import fake_request


def add_twice(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.9.mlp.up_proj.weight"] = torch.zeros(2)
    tensors["a.new.key"] = torch.zeros(2)


NORM = "model.norm.weight"
DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing key": (
        lambda f: edit_weights(f / SINGLE, lambda t: t.pop(NORM)),
        "missing keys 1: model.norm.weight",
    ),
    "unexpected keys": (
        lambda f: edit_weights(f / SINGLE, add_twice),
        "unexpected keys 2: a.new.key, model.layers.9",
    ),
    "wrong shape": (
        lambda f: edit_weights(f / SINGLE, lambda t: t.update({NORM: torch.zeros(3)})),
        r"wrong shapes 1: model.norm.weight \(3,\), expected \(32,\)",
    ),
    "whole numbers": (
        lambda f: edit_weights(f / SINGLE, lambda t: t.update({NORM: t[NORM].to(torch.int8)})),
        "not floating point 1: model.norm.weight int8",
    ),
    "heads": (
        lambda f: edit_json(f / "config.json", num_attention_heads=5),
        "num_attention_heads=5.*share the hidden size evenly",
    ),
    "heads of keys": (
        lambda f: edit_json(f / "config.json", num_key_value_heads=3),
        "num_key_value_heads=3",
    ),
    "heads of the tower": (
        lambda f: edit_json(f / "vision_config.json", num_attention_heads=5),
        "vision tower: .*num_attention_heads=5",
    ),
    "no packing": (
        lambda f: edit_json(f / "config.json", mm_patch_merge_type=...),
        "mm_patch_merge_type='flat' is not supported; supported: 'spatial_unpad'",
    ),
    "other geometry": (
        lambda f: edit_json(f / "config.json", num_hidden_layers=6),
        "missing keys 18: .* \\.\\.\\.",
    ),
    "truncated": (lambda f: truncate(f / SINGLE), f"{SINGLE} is damaged or incomplete"),
    "empty": (lambda f: (f / SINGLE).write_bytes(b""), f"{SINGLE} is damaged or incomplete"),
    "no weights": (lambda f: (f / SINGLE).unlink(), f"lacks {SINGLE}"),
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json: is it a checkpoint"),
    "bad json": (
        lambda f: (f / "config.json").write_text("{"),
        "config.json is not valid JSON",
    ),
    "bytes": (
        lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"),
        "config.json is not valid JSON",
    ),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object"),
    "bad tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("{}"),
        "tokenizer.json is not a tokenizer",
    ),
    "other model": (
        lambda f: edit_json(f / "config.json", model_type="llama"),
        "model_type 'llama' is not supported; supported: 'llava_llada'",
    ),
    "no model type": (
        lambda f: edit_json(f / "config.json", model_type=...),
        "model_type None is not supported",
    ),
    "fields missing": (
        lambda f: edit_json(f / "config.json", hidden_size=..., vocab_size=...),
        "config.json lacks hidden_size, vocab_size",
    ),
    "activation": (
        lambda f: edit_json(f / "config.json", hidden_act="gelu"),
        "hidden_act='gelu' is not supported; supported: 'silu'",
    ),
    "rope scaling": (
        lambda f: edit_json(f / "config.json", rope_scaling={"factor": 2}),
        "rope_scaling=.* is not supported",
    ),
    "unknown tower": (
        lambda f: (f / "vision_config.json").unlink(),
        "vision tower 'tiny-siglip' is unknown; known is .*so400m.* need a vision_config.json",
    ),
    "tower fields": (
        lambda f: edit_json(f / "vision_config.json", patch_size=...),
        "vision_config.json lacks patch_size",
    ),
    "no pinpoints": (
        lambda f: edit_json(f / "config.json", image_grid_pinpoints=...),
        "image_aspect_ratio 'anyres_max_2' needs image_grid_pinpoints",
    ),
    "pinpoints off the tile": (
        lambda f: edit_json(f / "config.json", image_grid_pinpoints=[[17, 16]]),
        "config.json: canvas size",
    ),
    "pinpoints of a wrong kind": (
        lambda f: edit_json(f / "config.json", image_grid_pinpoints=[1, 2]),
        "config.json: pinpoints",
    ),
    "unknown aspect": (
        lambda f: edit_json(f / "config.json", image_aspect_ratio="highres"),
        "config.json: aspect='highres'; allowed",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(name: str, folder: Path) -> None:
    damage, message = DAMAGES[name]
    assert load(folder, device="cpu").spec.geometry.n_layers == 4
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load(folder, device="cpu")


def test_a_missing_size_is_named_with_a_tokenizer_too(
    speaking_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(speaking_folder, tmp_path, dirs_exist_ok=True)
    edit_json(tmp_path / "config.json", vocab_size=...)
    with pytest.raises(CheckpointError, match="config.json lacks vocab_size"):
        load(tmp_path)


def test_a_missing_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"lacks {shard.name}"):
        load(sharded)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_an_index_without_a_map(index: str, sharded: Path) -> None:
    (sharded / INDEX).write_text(index)
    with pytest.raises(CheckpointError, match="no weight_map"):
        load(sharded)


def test_a_truncated_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[-1]
    truncate(shard)
    with pytest.raises(CheckpointError, match=f"{shard.name} is damaged"):
        load(sharded)


def test_code_in_a_checkpoint_is_never_run(folder: Path) -> None:
    module, trace = "configuration_of_this_checkpoint", folder / "it_ran"
    code = f"open({str(trace)!r}, 'w').close()\nclass Config: ...\n"
    for name in (module, "modeling_llada", "__init__", "conftest", "sitecustomize"):
        (folder / f"{name}.py").write_text(code)
    edit_json(
        folder / "config.json", auto_map={"AutoConfig": f"{module}.Config"}, trust_remote_code=True
    )
    own = load(folder, device="cpu")
    own.generate(inputs=fake_request(own), mask_id=63, **SHAPE)
    assert not trace.exists() and module not in sys.modules


@pytest.mark.parametrize("place", ["../other.safetensors", "/etc/hostname", "a/../../b"])
def test_an_index_does_not_lead_out_of_its_folder(place: str, sharded: Path) -> None:
    edit_json(sharded / INDEX, weight_map={NORM: place})
    with pytest.raises(CheckpointError, match="outside of its folder.*put or link them into it"):
        load(sharded)


def test_of_many_missing_shards_some_are_named(sharded: Path) -> None:
    names = {f"k{i}": f"model-{i:05d}-of-09999.safetensors" for i in range(9999)}
    edit_json(sharded / INDEX, weight_map=names)
    with pytest.raises(
        CheckpointError, match=r"lacks 9999 of 9999 files: model-00000-of-09999"
    ) as raised:
        load(sharded)
    assert len(str(raised.value)) < 500


def test_links_may_lead_anywhere_but_not_nowhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = (folder / SINGLE).rename(tmp_path / "elsewhere.safetensors")
    (folder / SINGLE).symlink_to(elsewhere)
    load(folder)
    elsewhere.unlink()
    with pytest.raises(CheckpointError, match=f"{SINGLE} is a link to a file that is not there"):
        load(folder)


def test_a_config_that_cannot_be_read(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load(folder)
    config.unlink()
    config.symlink_to(config)
    with pytest.raises(CheckpointError, match="cannot be read: Too many"):
        load(folder)
    config.unlink()
    config.mkdir()
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        load(folder)


def test_a_mark_of_its_byte_order_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_json(tmp_path / "config.json") == {"a": 1}
