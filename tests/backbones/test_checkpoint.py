"""Checkpoints: what is written is read again bit for bit, and what is wrong is named."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from saccade.backbones import DiffusionModel, checkpoint, embedded_models, load
from saccade.controller import CheckpointError, SaccadeError, UnknownNameError
from tests.tiny import TOWER, fake_page, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="module")
def model() -> DiffusionModel:
    return tiny_model()


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a tokenizer, and more rows in its embedding than that has tokens."""
    folder = tmp_path_factory.mktemp("speaking")
    tiny_model(tokenizer=True, vocab=300).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(model: DiffusionModel, tmp_path: Path) -> Path:
    """A checkpoint of one shard, to be damaged."""
    model.save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def sharded(model: DiffusionModel, tmp_path: Path) -> Path:
    """A checkpoint of many shards, to be damaged."""
    model.save_pretrained(tmp_path, max_shard_bytes=10_000)
    return tmp_path


def weights(model: DiffusionModel) -> dict[str, torch.Tensor]:
    return model.network.state_dict()


def assert_same(a: DiffusionModel, b: DiffusionModel) -> None:
    mine, theirs = weights(a), weights(b)
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name].dtype == theirs[name].dtype and torch.equal(mine[name], theirs[name])


# --- round trips ------------------------------------------------------------------------------


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
    wide = load(tmp_path, device="cpu")
    assert {value.dtype for value in weights(wide).values()} == {torch.float32}
    assert_same(wide, load(tmp_path, dtype="float32"))
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


def test_shards_and_index(model: DiffusionModel, sharded: Path) -> None:
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


def test_the_vocabulary_is_cut_to_the_tokenizer(speaking: Path) -> None:
    whole, cut = tiny_model(tokenizer=True, vocab=300), load(speaking, device="cpu")
    assert cut.tokenizer is not None
    n = cut.tokenizer.get_vocab_size()
    assert cut.spec.geometry.vocab == cut.config["vocab_size"] == n < 300
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(weights(cut)[name], weights(whole)[name][:n])
    assert cut.spec.mask_id == cut.tokenizer.token_to_id("<|mdm_mask|>")
    assert cut.spec.forbidden_ids == whole.spec.forbidden_ids
    out = cut.generate("What?", [fake_page()], **SHAPE)
    assert isinstance(out.text, str)


def test_a_cut_model_is_saved_as_it_is(speaking: Path, tmp_path: Path) -> None:
    cut = load(speaking, device="cpu")
    cut.save_pretrained(tmp_path)
    again = load(tmp_path, device="cpu")
    assert_same(cut, again)
    assert again.prepare("What?").embeds.equal(cut.prepare("What?").embeds)


def test_a_larger_tokenizer_cuts_nothing(speaking: Path, tmp_path: Path) -> None:
    small = tiny_model(vocab=64)
    small.save_pretrained(tmp_path)
    shutil.copy(speaking / "tokenizer.json", tmp_path)
    assert_same(load(tmp_path, device="cpu"), small)


def test_cutting_and_filling_stored_with_a_tokenizer(speaking: Path, tmp_path: Path) -> None:
    shutil.copytree(speaking, tmp_path, dirs_exist_ok=True)
    plain = load(speaking, device="cpu")
    assert plain.tokenizer is not None
    words = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    words.enable_truncation(8)
    words.enable_padding(length=16, pad_id=5, pad_token="x")
    words.save(str(tmp_path / "tokenizer.json"))
    own, question = load(tmp_path, device="cpu"), "What is the code in the middle of the page?"
    assert torch.equal(own.prepare(question).embeds, plain.prepare(question).embeds)
    assert own.processor.encode("yes") == plain.processor.encode("yes")


# --- saving over an older checkpoint ----------------------------------------------------------

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


# --- dtype and device -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["banana", "int8", torch.int64, "Tensor", ""])
def test_a_wrong_dtype(dtype: Any, folder: Path) -> None:
    with pytest.raises(ValueError, match="float32, bfloat16 or float16"):
        load(folder, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float16", torch.bfloat16])
def test_generate_in_half_precision(dtype: Any, folder: Path) -> None:
    half = load(folder, dtype=dtype, device="cpu")
    out = half.generate(inputs=fake_request(half), mask_id=63, **SHAPE)
    assert half.device == torch.device("cpu") and len(out.tokens) == 4


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ({"torch_dtype": "float16"}, torch.float16),
        ({"torch_dtype": None, "dtype": "float16"}, torch.float16),
        ({"torch_dtype": "auto"}, torch.bfloat16),
        ({"dtype": "auto"}, torch.bfloat16),
        ({"torch_dtype": None}, torch.bfloat16),
        ({}, torch.bfloat16),
    ],
)
def test_the_checkpoints_own_dtype(
    stored: dict[str, Any], wanted: torch.dtype, folder: Path
) -> None:
    """Off the CPU; the meta device stands for any other."""
    edit_json(folder / "config.json", **{"torch_dtype": ..., **stored})
    assert {v.dtype for v in weights(load(folder, device="meta")).values()} == {wanted}
    assert {v.dtype for v in weights(load(folder, device="cpu")).values()} == {torch.float32}


# --- keys and settings of other writers -------------------------------------------------------

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
def test_keys_that_no_model_uses_are_passed_over(
    key: str, folder: Path, model: DiffusionModel
) -> None:
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


def test_a_tied_head_is_the_embedding(speaking: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tied"
    shutil.copytree(speaking, folder)
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


def test_the_published_settings_are_supported(folder: Path, model: DiffusionModel) -> None:
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
@pytest.mark.parametrize("value", ["64", 64.5, -4, True, [64]])
def test_sizes_are_whole_numbers(file: str, name: str, value: Any, folder: Path) -> None:
    edit_json(folder / file, **{name: value})
    with pytest.raises(CheckpointError, match=re.escape(f"{name}={value!r}: must be a whole")):
        load(folder, device="cpu")


# --- what is wrong ----------------------------------------------------------------------------


def edit_json(path: Path, **changes: Any) -> None:
    content = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in content.items() if value is not ...}
    path.write_text(json.dumps(kept))


def edit_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


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
        "lacks patch_size",
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


def test_a_missing_size_is_named_with_a_tokenizer_too(speaking: Path, tmp_path: Path) -> None:
    shutil.copytree(speaking, tmp_path, dirs_exist_ok=True)
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


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nowhere", "./nowhere", "/no/where", "a/b/c", "~/nowhere"])
def test_no_such_folder(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"no checkpoint folder at {name}; give a folder"):
        load(name)


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        load(folder / SINGLE)


def test_an_unknown_embedded_name_lists_the_known() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load("embedded/gpt")
    message = str(caught.value)
    assert message.startswith("unknown embedded model 'embedded/gpt'; known: ")
    assert all(name in message for name in embedded_models() or ["none"])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No network, and an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_hub_id_offline(offline: Path) -> None:
    message = "GSAI-ML/LLaDA-V is not in the local cache .* go online, or give the folder"
    with pytest.raises(CheckpointError, match=message):
        load("GSAI-ML/LLaDA-V")
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        load("not a name/x")


def test_a_cached_hub_id_offline(offline: Path, model: DiffusionModel) -> None:
    home, commit = offline / "models--some--model", "0123456789abcdef0123456789abcdef01234567"
    model.save_pretrained(home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    own = load("some/model", device="cpu")
    assert own.spec.name == "some/model"
    assert_same(own, model)
    assert_same(load("some/model", device="cpu", revision=commit), model)
    with pytest.raises(SaccadeError):
        load("some/model", revision="another")


def test_only_weights_and_json_are_fetched(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    asked: list[dict[str, Any]] = []

    def download(repo_id: str, **options: Any) -> str:
        asked.append(options)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load("some/model", device="cpu", revision="v1").spec.name == "some/model"
    assert asked[0]["revision"] == "v1"
    files = ["config.json", INDEX, SINGLE, "modeling_llada.py", "pytorch_model.bin", "x.pkl"]
    taken = [f for f in files if any(fnmatch(f, p) for p in asked[0]["allow_patterns"])]
    assert taken == files[:3]


@pytest.mark.parametrize("name", embedded_models())
def test_embedded_models_load(name: str) -> None:
    own = load(name, device="cpu")
    assert own.spec.name == name and own.tokenizer is not None
    assert own.spec.mask_id < own.spec.geometry.vocab
    assert isinstance(own.generate("What?", [fake_page(96, 96)], **SHAPE).text, str)
