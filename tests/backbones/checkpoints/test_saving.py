"""Saving: round trips, names, and what lies in the folder before."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from saccade.backbones import Model, load
from saccade.backbones.checkpoints import checkpoint
from tests.backbones.checkpoints.checkpoints import INDEX, SHAPE, SINGLE, assert_same, weights
from tests.tiny import TOWER, fake_request, tiny_model


@pytest.mark.parametrize("limit", [10_000, 50_000, 2**30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_round_trip(limit: int, dtype: torch.dtype, tmp_path: Path) -> None:
    model = tiny_model()
    model.network.to(dtype)
    model.save_pretrained(tmp_path, max_shard_bytes=limit)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert (tmp_path / INDEX).exists() == (len(files) > 1) == (limit < 2**30)
    again = load(tmp_path, dtype=dtype, device="cpu")
    assert_same(model, again)
    kept = load(tmp_path, device="cpu")  # float16 is for other devices
    stays = torch.float32 if dtype == torch.float16 else dtype
    assert {value.dtype for value in weights(kept).values()} == {stays}
    wide = load(tmp_path, dtype="float32", device="cpu")
    assert {value.dtype for value in weights(wide).values()} == {torch.float32}
    for name, value in weights(model).items():
        assert torch.equal(weights(wide)[name], value.float())
    assert (again.spec.geometry, again.network.tower) == (model.spec.geometry, TOWER)
    assert again.preprocessor == model.preprocessor and again.tokenizer is None
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == str(dtype)[6:]
    special: dict[str, Any] = {
        "mask_id": model.spec.mask_id,
        "forbidden_ids": model.spec.forbidden_ids,
    }
    seen: list[torch.Tensor] = []
    for each in (model, again):
        each.generate(
            inputs=fake_request(each),
            callback=lambda view: seen.append(view.logits),
            **special,
            **SHAPE,
        )
    assert torch.equal(seen[0], seen[2]) and torch.equal(seen[1], seen[3])


def test_shards_and_index(model: Model, sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    files = {path.name: load_file(path) for path in sharded.glob("*.safetensors")}
    assert len(files) > 3 and set(index["weight_map"].values()) == set(files)
    for name, tensors in files.items():
        assert all(index["weight_map"][key] == name for key in tensors)
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        assert size <= 10_000 or len(tensors) == 1
    total = sum(value.numel() * 4 for value in weights(model).values())
    assert index["metadata"]["total_size"] == total
    assert sum(len(tensors) for tensors in files.values()) == len(index["weight_map"])


def test_names_are_the_published(folder: Path) -> None:
    names = set(load_file(folder / SINGLE))
    tower = "model.vision_tower.vision_tower.vision_model."
    assert {
        "model.embed_tokens.weight",
        "model.layers.3.self_attn.q_proj.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.norm.weight",
        "model.image_newline",
        "model.mm_projector.0.weight",
        "model.mm_projector.2.bias",
        "lm_head.weight",
        f"{tower}embeddings.patch_embedding.weight",
        f"{tower}encoder.layers.1.self_attn.q_proj.weight",
        f"{tower}post_layernorm.weight",
    } <= names
    assert json.loads((folder / "vision_config.json").read_text())["num_hidden_layers"] == 3


def test_a_cut_model_is_saved_as_it_is(speaking_folder: Path, tmp_path: Path) -> None:
    cut = load(speaking_folder, device="cpu")
    cut.save_pretrained(tmp_path)
    again = load(tmp_path, device="cpu")
    assert_same(cut, again)
    assert again.prepare("What?").embeds.equal(cut.prepare("What?").embeds)


ONE, MANY = 2**30, 10_000
"""Shard sizes that give a single file, and many."""


@pytest.mark.parametrize("before", [ONE, MANY, 20_000])
@pytest.mark.parametrize("after", [ONE, MANY])
def test_an_older_checkpoint_is_replaced(before: int, after: int, tmp_path: Path) -> None:
    folder, alone = tmp_path / "used", tmp_path / "alone"
    tiny_model(tokenizer=True, seed=1).save_pretrained(folder, max_shard_bytes=before)
    for name in ("notes.txt", "model-ema.safetensors"):
        (folder / name).write_text("mine")
    new = tiny_model(vocab=100, n_layers=3, seed=2)
    for place in (folder, alone):
        new.save_pretrained(place, max_shard_bytes=after)
    assert_same(load(folder, device="cpu"), new)
    names = {path.name for path in folder.iterdir()} - {"notes.txt", "model-ema.safetensors"}
    assert names == {path.name for path in alone.iterdir()} and "tokenizer.json" not in names


@pytest.mark.parametrize("shards", [ONE, MANY])
def test_saving_over_the_files_it_was_loaded_from(shards: int, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path, max_shard_bytes=shards)
    own = load(tmp_path, device="cpu")
    wanted = {name: value.clone() for name, value in weights(own).items()}
    own.save_pretrained(tmp_path, max_shard_bytes=MANY)
    own.save_pretrained(tmp_path)
    for saved in (own, load(tmp_path, device="cpu")):
        assert all(torch.equal(weights(saved)[name], wanted[name]) for name in wanted)


class Interruption:
    """Raises at the n-th of the operations that change a folder."""

    def __init__(self, n: int, patch: pytest.MonkeyPatch) -> None:
        self.left = n
        for owner, name in ((checkpoint, "save_file"), (os, "replace"), (Path, "unlink")):
            patch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return operation(*arguments, **options)

        return call


@pytest.mark.parametrize(("before", "after"), [(ONE, ONE), (ONE, MANY), (MANY, ONE)])
def test_an_interrupted_save_leaves_a_whole_checkpoint(
    before: int, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older or the newer one, wherever it stops."""
    old, new = tiny_model(seed=1, n_layers=1), tiny_model(seed=2, n_layers=1)
    kept = []
    for n in range(100):
        folder = tmp_path / str(n)
        old.save_pretrained(folder, max_shard_bytes=before)
        with monkeypatch.context() as patch:
            Interruption(n, patch)
            try:
                new.save_pretrained(folder, max_shard_bytes=after)
                break
            except KeyboardInterrupt:
                found = weights(load(folder, device="cpu"))
        same = [all(torch.equal(found[k], v) for k, v in weights(m).items()) for m in (old, new)]
        assert any(same) and not list(folder.glob(".saving-*"))
        kept.append(same.index(True))
    assert kept == sorted(kept) and 0 in kept and n < 99
