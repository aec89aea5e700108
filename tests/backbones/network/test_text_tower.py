"""The text tower of a whole SigLIP: read from its folder, and what TRIM sees through it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import SiglipTextConfig, SiglipTextModel

from saccade.backbones import load
from saccade.backbones.checkpoints.config import text_config
from saccade.backbones.checkpoints.text_tower_files import PREFIX, read_text_tower
from saccade.controller import AfterShare, CapabilityError, CheckpointError, Controller
from saccade.pruners import TRIM
from saccade.pruners.trim import shares
from tests.backbones.execution.planned import Spy
from tests.tiny import TOWER, fake_page, tiny_model

WORDS = {"[PAD]": 0, "what": 1, "is": 2, "it": 3, "[UNK]": 4}
CONFIG: dict[str, Any] = {
    "vocab_size": 5,
    "hidden_size": TOWER.hidden_size,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 3,
    "projection_size": TOWER.hidden_size,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siglip")
    (folder / "config.json").write_text(json.dumps({"text_config": CONFIG}))
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    weights = SiglipTextModel(SiglipTextConfig(**CONFIG)).state_dict()
    named = {PREFIX + k.removeprefix(PREFIX): v for k, v in weights.items() if "ids" not in k}
    save_file({**named, "vision_model.x": torch.zeros(1)}, str(folder / "model.safetensors"))
    return folder


def test_long_questions_are_averaged_over_windows(siglip: Path) -> None:
    tower = read_text_tower(siglip, TOWER.hidden_size)
    first, second = tower.embed("what is it"), tower.embed("is")
    torch.testing.assert_close(tower.embed("what is it is"), (first + second) / 2)
    assert not torch.allclose(first, second)


def test_trim_reads_it(siglip: Path, tmp_path: Path) -> None:
    tiny_model(tokenizer=True).save_pretrained(tmp_path / "model")
    plain = load(tmp_path / "model")
    model = load(tmp_path / "model", text_tower=siglip)
    spy = Spy(TRIM("text-tower", aggregate=False))
    controller = Controller(AfterShare(0, 0.4), spy)
    with pytest.raises(CapabilityError, match="needs tower:text; .* does not offer that"):
        controller.check(plain.spec)
    inputs = model.prepare("what is it", [fake_page()], controller=controller)
    shape = {"gen_length": 4, "block_length": 4, "steps": 1}
    out = model.generate(inputs=inputs, controller=controller, **shape)
    (view,) = spy.views
    assert inputs.tower is not None
    features = inputs.tower.seen("tower:features")
    norm = model.network.model.vision_tower.vision_tower.post_layernorm
    with torch.inference_mode():
        wanted = norm(features) @ read_text_tower(siglip, TOWER.hidden_size).embed("what is it")
    placed = inputs.tower.owners >= 0
    base = placed & (inputs.tower.owners < inputs.tower.n_patches)
    torch.testing.assert_close(view.of("tower:text")[base], wanted[base], atol=1e-4, rtol=1e-4)
    assert bool((view.of("tower:text")[~placed] == 0).all())
    n = len(out.trace.steps[0].kept)
    best = shares(view.of("tower:text")).sort(descending=True, stable=True).indices[:n]
    assert list(out.trace.steps[0].kept) == sorted(best.tolist())
    asked = model.prepare_ids([1, -200, 2], [fake_page()])
    with pytest.raises(CapabilityError, match="a question: they were made from ids"):
        model.generate(inputs=asked, controller=controller, **shape)


def test_what_does_not_fit_is_named(siglip: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its questions have 16 entries, the vision tower's"):
        read_text_tower(siglip, 99)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has no text_config: it is not a whole SigLIP"):
        read_text_tower(tmp_path, 16)
    (tmp_path / "config.json").write_text(json.dumps({"text_config": CONFIG}))
    with pytest.raises(CheckpointError, match="tokenizer.json cannot be read"):
        read_text_tower(tmp_path, 16)
    (tmp_path / "tokenizer.json").write_text((siglip / "tokenizer.json").read_text())
    save_file({PREFIX + "head.bias": torch.zeros(16)}, str(tmp_path / "model.safetensors"))
    with pytest.raises(CheckpointError, match="lacks .* weights, the first is text_model"):
        read_text_tower(tmp_path, 16)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported; supported: 'gelu_pytorch"),
        ({"num_attention_heads": 3}, "num_attention_heads=3: heads must share"),
        ({"vocab_size": "5"}, "vocab_size='5': must be a whole number"),
        ({"pad_token_id": 5}, "pad_token_id=5: must be a token below vocab_size=5"),
        ({"layer_norm_eps": 0}, "layer_norm_eps=0: must be a number above 0"),
        ({"projection_size": -1}, "projection_size=-1: must be a whole number"),
    ],
)
def test_settings_that_would_change_what_is_computed_are_refused(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        text_config(CONFIG | given)


def test_what_a_text_config_leaves_out_is_as_in_the_base_model() -> None:
    """Published ones name their sizes and leave out the rest."""
    base = SiglipTextConfig()
    config = text_config({"hidden_size": 1152, "num_attention_heads": 16})
    assert config.hidden_size == config.projection_size == 1152
    assert config.n_layers == base.num_hidden_layers and config.vocab_size == base.vocab_size
    assert config.intermediate_size == base.intermediate_size
    assert config.length == base.max_position_embeddings
    assert config.pad_id == base.pad_token_id and config.layer_norm_eps == base.layer_norm_eps
