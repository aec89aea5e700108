"""LaViDa-Dream's recorded checkpoint: every key is used, and a copy or a variant of it loads."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import saccade
from saccade.backbones.families.registry import FAMILIES
from saccade.controller import CheckpointError
from tests.backbones.checkpoints.checkpoints import SINGLE, assert_same, edit_json, edit_weights
from tests.backbones.decoding.golden_lavida import SET, model, model_with_words, prompts
from tests.golden_sets import golden_json, golden_params, golden_set

pytestmark = pytest.mark.golden
THERE = ["open"] if golden_set(SET) else []
SIGLIP = "model.vision_tower.vision_tower.vision_model."


@pytest.fixture(params=golden_params(SET, THERE))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the recorded checkpoint, to be changed."""
    stored = golden_set(SET)
    assert stored is not None
    tower = golden_json(SET, "config.json")["mm_vision_tower"]
    for file in ("config.json", SINGLE, f"{tower}/config.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes((stored / file).read_bytes())
    return tmp_path


def test_saving_gives_the_recorded_tensors(folder: Path) -> None:
    again = folder / "again"
    model().save_pretrained(again)
    stored, saved = load_file(folder / SINGLE), load_file(again / SINGLE)
    assert stored.keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in stored.items())
    assert_same(saccade.load(again, device="cpu"), saccade.load(folder, device="cpu"))


@pytest.mark.parametrize("name", golden_params(SET, prompts()))
def test_a_saved_tokenizer_gives_the_same_ids(name: str, tmp_path: Path) -> None:
    own, text = model_with_words(), prompts()[name]["prompt"]
    own.save_pretrained(tmp_path)
    loaded = saccade.load(tmp_path, device="cpu")
    ids = loaded.processor.encode(text)
    assert ids == own.processor.encode(text)
    assert loaded.processor.decode(ids) == own.processor.decode(ids)
    assert replace(loaded.spec, name="") == replace(own.spec, name="")


def test_the_tower_of_its_folder_has_a_layer_less(folder: Path) -> None:
    tower = golden_json(SET, "config.json")["mm_vision_tower"]
    geometry = golden_json(SET, f"{tower}/config.json")
    assert model().network.tower.n_layers == geometry["num_hidden_layers"] - 1
    whole = {"model_type": "siglip", "vision_config": geometry}
    (folder / tower / "config.json").write_text(json.dumps(whole))
    assert_same(saccade.load(folder, device="cpu"), model())
    shutil.rmtree(folder / tower)
    with pytest.raises(CheckpointError, match=f"the vision tower '{tower}' is unknown"):
        saccade.load(folder, device="cpu")


def test_what_never_runs_may_be_missing_or_there(folder: Path) -> None:
    last = model().network.tower.n_layers

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in ("weight", "bias"):
            tensors.pop(f"{SIGLIP}post_layernorm.{name}")
            tensors[f"{SIGLIP}encoder.layers.{last}.layer_norm1.{name}"] = torch.zeros(1)
            tensors[f"{SIGLIP}head.layernorm.{name}"] = torch.zeros(1)

    edit_weights(folder / SINGLE, change)
    own, whole = saccade.load(folder, device="cpu"), model()
    views = torch.rand(1, 3, whole.preprocessor.tile, whole.preprocessor.tile)
    with torch.inference_mode():
        assert torch.equal(own.network.encode_views(views), whole.network.encode_views(views))
    edit_weights(folder / SINGLE, lambda tensors: tensors.pop("model.image_newline"))
    with pytest.raises(CheckpointError, match="missing keys 1: model.image_newline"):
        saccade.load(folder, device="cpu")


def test_the_same_layout_holds_an_autoregressive_model(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="llava_qwen")
    own = saccade.load(folder, device="cpu")
    assert own.family in FAMILIES and own.spec.origin == "autoregressive"
    assert own.network.language.causal and own.network.language.qkv_bias
    assert_same(own, model())
