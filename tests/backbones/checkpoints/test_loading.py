"""Loading: folders, embedded names, hub ids, the vocabulary and the dtype."""

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from saccade.backbones import Model, embedded_models, load
from saccade.controller import CheckpointError, SaccadeError, UnknownNameError
from tests.backbones.checkpoints.checkpoints import (
    INDEX,
    SHAPE,
    SINGLE,
    assert_same,
    edit_json,
    weights,
)
from tests.tiny import fake_page, fake_request, tiny_model


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


def test_a_cached_hub_id_offline(offline: Path, model: Model) -> None:
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


def test_only_weights_json_and_merges_are_fetched(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def download(repo_id: str, **options: Any) -> str:
        asked.append(options)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load("some/model", device="cpu", revision="v1").spec.name == "some/model"
    assert asked[0]["revision"] == "v1"
    files = ["config.json", INDEX, SINGLE, "vocab.json", "merges.txt", "tokenizer_config.json"]
    code = ["modeling_llada.py", "tokenization_dream.py", "pytorch_model.bin", "x.pkl", "README.md"]
    patterns = asked[0]["allow_patterns"]
    taken = [f for f in [*files, *code] if any(fnmatch(f, p) for p in patterns)]
    assert taken == files


@pytest.mark.parametrize("name", embedded_models())
def test_embedded_models_load(name: str) -> None:
    own = load(name, device="cpu")
    assert own.spec.name == name and own.tokenizer is not None
    mask = own.spec.mask_id
    assert (mask is None) == (own.spec.origin == "autoregressive")
    assert mask is None or mask < own.spec.geometry.vocab
    short = own.family.settings.for_lengths(*SHAPE.values())
    assert isinstance(own.generate("What?", [fake_page(96, 96)], **short).text, str)


def test_the_vocabulary_is_cut_to_the_tokenizer(speaking_folder: Path) -> None:
    whole, cut = tiny_model(tokenizer=True, vocab=300), load(speaking_folder, device="cpu")
    assert cut.tokenizer is not None
    n = cut.tokenizer.get_vocab_size()
    assert cut.spec.geometry.vocab == cut.config["vocab_size"] == n < 300
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(weights(cut)[name], weights(whole)[name][:n])
    assert cut.spec.mask_id == cut.tokenizer.token_to_id("<|mdm_mask|>")
    assert cut.spec.forbidden_ids == whole.spec.forbidden_ids
    out = cut.generate("What?", [fake_page()], **SHAPE)
    assert isinstance(out.text, str)


def test_a_larger_tokenizer_cuts_nothing(speaking_folder: Path, tmp_path: Path) -> None:
    small = tiny_model(vocab=64)
    small.save_pretrained(tmp_path)
    shutil.copy(speaking_folder / "tokenizer.json", tmp_path)
    assert_same(load(tmp_path, device="cpu"), small)


def test_cutting_and_filling_stored_with_a_tokenizer(speaking_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(speaking_folder, tmp_path, dirs_exist_ok=True)
    plain = load(speaking_folder, device="cpu")
    assert plain.tokenizer is not None
    words = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    words.enable_truncation(8)
    words.enable_padding(length=16, pad_id=5, pad_token="x")
    words.save(str(tmp_path / "tokenizer.json"))
    own, question = load(tmp_path, device="cpu"), "What is the code in the middle of the page?"
    assert torch.equal(own.prepare(question).embeds, plain.prepare(question).embeds)
    assert own.processor.encode("yes") == plain.processor.encode("yes")


@pytest.mark.parametrize(
    "dtype", ["banana", "int8", "float8_e4m3fn", torch.int64, "Tensor", "", "cpu"]
)
def test_a_wrong_dtype(dtype: Any, folder: Path) -> None:
    with pytest.raises(ValueError, match="float32, bfloat16 or float16"):
        load(folder, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float16", torch.bfloat16])
def test_generate_in_half_precision(dtype: Any, folder: Path) -> None:
    half = load(folder, dtype=dtype, device="cpu")
    out = half.generate(inputs=fake_request(half), mask_id=63, **SHAPE)
    assert half.device == torch.device("cpu") and len(out.tokens) == 4


@pytest.mark.parametrize("config", ["float32", "float16", "auto", None, ...])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_stored_dtype_is_kept(stored: torch.dtype, config: Any, tmp_path: Path) -> None:
    """Whatever the config says; but float16 is computed as float32 on a CPU. The meta device stands
    for any other."""
    own = tiny_model()
    own.network.to(stored)
    own.save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", torch_dtype=config, dtype=config)
    here = torch.float32 if stored == torch.float16 else stored
    for dtype in (None, "auto"):
        for device, wanted in (("meta", stored), ("cpu", here)):
            loaded = load(tmp_path, dtype, device)
            assert {v.dtype for v in weights(loaded).values()} == {wanted}
    assert len(loaded.generate(inputs=fake_request(loaded), mask_id=63, **SHAPE).tokens) == 4


def test_shards_without_an_index(model: Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, max_shard_bytes=20_000)
    (tmp_path / INDEX).unlink()
    assert_same(load(tmp_path, device="cpu"), model)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    shards[1].rename(tmp_path / "aside")
    with pytest.raises(CheckpointError, match=f"lacks {shards[1].name}"):
        load(tmp_path)
    shards[0].rename(tmp_path / "model-00001-of-00099.safetensors")
    with pytest.raises(CheckpointError, match="shards of several checkpoints"):
        load(tmp_path)


@pytest.mark.parametrize("cut_vocab", [True, False])
@pytest.mark.parametrize("less", [1, 7, 200, -1, -100])
def test_a_vocabulary_of_another_size_than_the_stored_one(
    cut_vocab: bool, less: int, tmp_path: Path
) -> None:
    for tokenizer in (True, False):
        own = tiny_model(tokenizer=tokenizer, vocab=None if tokenizer else 264)
        own.save_pretrained(tmp_path)
        rows = own.spec.geometry.vocab
        edit_json(tmp_path / "config.json", vocab_size=rows - less)
        with pytest.raises(CheckpointError, match=rf"embed_tokens.*{rows}.*{rows - less}"):
            load(tmp_path, cut_vocab=cut_vocab)


def test_what_no_type_holds_is_refused_without_naming_one(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    weights = load_file(tmp_path / SINGLE)
    name = "model.norm.weight"
    weights[name] = weights[name].double() * 1e300
    save_file(weights, tmp_path / SINGLE, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"beyond float32\)$"):
        load(tmp_path, dtype="float32")
