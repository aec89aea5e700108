"""Folders, embedded names and hub ids."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from saccade.backbones import DiffusionModel, embedded_models, load
from saccade.controller import CheckpointError, SaccadeError, UnknownNameError
from tests.backbones.checkpoints import INDEX, SHAPE, SINGLE, assert_same
from tests.tiny import fake_page


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
