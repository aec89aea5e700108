"""Checkpoints as they are published: each kind loads as it is meant, or one clear line says why
not; ``saccade doctor --model`` says the same without reading a weight."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from typer.testing import CliRunner

from saccade.backbones import load
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as DREAM
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as ONEVISION
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import TowerConfig
from saccade.controller import CheckpointError
from saccade.studies.cli import app
from tests.backbones.checkpoints.checkpoints import (
    INDEX,
    SINGLE,
    assert_same,
    edit_json,
    edit_weights,
)
from tests.backbones.checkpoints.layouts import LAYOUTS, bf16, onevision
from tests.tiny import fake_page, tiny_model

TOWER_KEYS = "model.vision_tower.vision_tower."


def examined(folder: Path) -> dict[str, Any]:
    """What the doctor says; its exit code is that of its verdict."""
    result = CliRunner().invoke(app, ["doctor", "--model", str(folder), "--json"])
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if found["ok"] else 1)
    return found


def refused(folder: Path, message: str) -> dict[str, Any]:
    """Both refuse, with the same line."""
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder, device="cpu")
    found = examined(folder)
    assert found["verdict"] == " ".join(str(caught.value).split()) and not found["ok"]
    assert "\n" not in str(caught.value)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_loads(name: str, tmp_path: Path) -> None:
    own = LAYOUTS[name](tmp_path)
    loaded = load(tmp_path, device="cpu")
    assert loaded.family.name == name
    assert_same(loaded, own)
    short = loaded.family.settings.for_lengths(4, 4, 2)
    out = loaded.generate("What?", [fake_page()], **short)
    assert isinstance(out.text, str) and out.trace.forwards > 0
    found = examined(tmp_path)
    assert found["verdict"] == "loads" and found["family"]["name"] == name
    assert found["stored"]["bytes_by_dtype"].keys() == {"bfloat16"}
    assert found["memory"]["by_default"] == {"cpu": "bfloat16", "cuda": "bfloat16"}
    assert all(len(ids) == 1 for ids in found["tokenizer"]["special"].values())
    assert found["shards"]["missing"] == []
    parameters = sum(value.numel() for value in own.network.parameters())
    assert found["memory"]["needed"]["bfloat16"] == 2 * parameters
    assert found["decoder"]["layers"] == own.network.language.n_layers


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_doctor_reads_no_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAYOUTS[name](tmp_path)
    for shard in tmp_path.glob("*.safetensors"):  # nothing after the header is a number
        content = shard.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        shard.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    assert examined(tmp_path)["verdict"] == "loads"
    with pytest.raises(CheckpointError, match="not finite"):
        load(tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("family", "model_type"),
    [(LLADA_V, "llada"), (DREAM, "Dream"), (ONEVISION, "llava"), (ONEVISION, "qwen2"), (DREAM, 3)],
)
def test_the_architectures_say_what_the_type_does_not(
    family: Family, model_type: Any, tmp_path: Path
) -> None:
    own = bf16(family)
    own.save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", model_type=model_type, architectures=[family.architecture])
    assert load(tmp_path, device="cpu").family is family
    for classes in (["LLaDAModelLM"], [], None, "LlavaLLaDAModelLM", [["x"]]):
        edit_json(tmp_path / "config.json", architectures=classes)
        refused(tmp_path, f"model_type {model_type!r} is not supported; supported: 'llava_llada'")


def test_a_setting_of_videos_matters_to_those_who_read_them(tmp_path: Path) -> None:
    onevision(tmp_path)
    edit_json(tmp_path / "config.json", add_faster_video=True, mm_spatial_pool_mode="average")
    assert load(tmp_path, device="cpu").family is ONEVISION
    for family, name in ((LLADA_V, "mm_newline_position"), (DREAM, "mm_spatial_pool_mode")):
        folder = tmp_path / name
        bf16(family).save_pretrained(folder)
        value = "one_token" if name == "mm_newline_position" else "average"
        edit_json(folder / "config.json", **{name: value})
        refused(folder, f"{name}='{value}' is not supported")


@pytest.mark.parametrize(
    ("fields", "theta"),
    [
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 123.0}}, 123.0),
        ({"rope_parameters": {"rope_theta": 77}, "rope_theta": 5.0}, 77.0),
        ({"rope_scaling": {"rope_type": "default"}}, 5e5),
        ({"rope_scaling": {"type": "default"}, "rope_theta": 9.0}, 9.0),
        ({"rope_scaling": None, "rope_parameters": None, "rope_theta": 9}, 9.0),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0}}, 5e5),
    ],
)
def test_rotary_settings(fields: dict[str, Any], theta: float, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", **fields)
    assert load(tmp_path, device="cpu").network.language.rope_theta == theta


@pytest.mark.parametrize("name", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    "value",
    [
        {"rope_type": "yarn", "rope_theta": 123, "factor": 4.0},
        {"rope_type": "linear"},
        {"type": "dynamic", "factor": 2.0},
        {"factor": 2.0},
        {"rope_type": "default", "partial_rotary_factor": 0.5},
        {"rope_type": "default", "mrope_section": [1, 1, 2]},
        {"full_attention": {"rope_type": "default"}},
        "default",
        [],
    ],
)
def test_rotary_settings_that_are_not_computed(name: str, value: Any, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", **{name: value})
    refused(tmp_path, f"{name}=.* is not supported; supported: rope_type 'default'")


@pytest.mark.parametrize(
    "text", ["[(16, 32), (32, 16)]", "[[16,32],[32,16]]", " [ [16, 32] , (32, 16) ] "]
)
def test_canvas_sizes_may_be_written_as_text(text: str, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", image_grid_pinpoints=text)
    assert load(tmp_path, device="cpu").preprocessor.pinpoints == ((16, 32), (32, 16))


@pytest.mark.parametrize("text", ["[(16, 32", "[16, 32]", "[(16, 'x')]", "[]", "__import__('os')"])
def test_no_other_text_is_taken_for_canvas_sizes(text: str, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", image_grid_pinpoints=text)
    refused(tmp_path, "config.json: ")


def test_tower_keys_without_their_middle(tmp_path: Path) -> None:
    own = tiny_model()
    own.save_pretrained(tmp_path)

    def shorten(tensors: dict[str, torch.Tensor]) -> None:
        for name in [n for n in tensors if n.startswith(f"{TOWER_KEYS}vision_model.")]:
            tensors[name.replace("vision_model.", "")] = tensors.pop(name)
        tensors[f"{TOWER_KEYS}head.probe"] = torch.zeros(1)

    edit_weights(tmp_path / SINGLE, shorten)
    assert_same(load(tmp_path, device="cpu"), own)
    twice = f"{TOWER_KEYS}vision_model.post_layernorm.bias"
    edit_weights(tmp_path / SINGLE, lambda tensors: tensors.update({twice: torch.zeros(16)}))
    refused(tmp_path, "keys stored twice 1: ")


def with_tower(folder: Path, tower: TowerConfig, name: str, pinpoints: Any) -> Network:
    """A checkpoint with this tower, whose config names it by a path alone."""
    base = tiny_model()
    network = Network(base.network.language, tower)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.05)
    base.network = network.eval()
    base.save_pretrained(folder)
    (folder / "vision_config.json").unlink()
    edit_json(folder / "config.json", mm_vision_tower=name, image_grid_pinpoints=pinpoints)
    return network


@pytest.mark.parametrize(
    ("tower", "name", "pinpoints"),
    [
        (TowerConfig(768, 8, 2, 12, 40, 16), "/nfs/me/tower", [[40, 80], [80, 40]]),
        (TowerConfig(768, 8, 2, 12, 40, 16), "/nfs/me/tower", "[(80, 40)]"),
        (TowerConfig(768, 8, 1, 12, 32, 16), "../tower", "(1x1),...,(2x2)"),
        (TowerConfig(768, 8, 1, 12, 47, 16), "my-siglip-patch16-47", "(1x1),...,(2x2)"),
        (TowerConfig(1152, 8, 1, 16, 384, 14), "/data/final", "(1x1),...,(2x2)"),
    ],
)
def test_a_tower_is_what_its_tensors_are(
    tower: TowerConfig, name: str, pinpoints: Any, tmp_path: Path
) -> None:
    own = with_tower(tmp_path, tower, name, pinpoints)
    loaded = load(tmp_path, device="cpu")
    assert loaded.network.tower == tower and loaded.preprocessor.tile == tower.image_size
    views = torch.rand(1, 3, tower.image_size, tower.image_size)
    with torch.inference_mode():
        assert torch.equal(loaded.network.encode_views(views), own.encode_views(views))


def test_a_tower_of_unknown_width_needs_a_file(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    (tmp_path / "vision_config.json").unlink()
    refused(tmp_path, "the vision tower 'tiny-siglip' is unknown; .* need a vision_config.json")


def no_tensors(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.unlink()
    (folder / INDEX).unlink(missing_ok=True)


FILES: dict[str, tuple[list[str], str]] = {
    "pickle": (["pytorch_model.bin"], r"are pickle \(pytorch_model.bin\), which may run code and"),
    "pickles": (
        [f"pytorch_model-0000{i}-of-00005.bin" for i in range(1, 6)],
        r"are pickle \(pytorch_model-00001-of-00005.bin, .* \.\.\.\), .* convert them",
    ),
    "a fetched index": (["pytorch_model.bin.index.json"], "are pickle"),
    "other shards": (["a.safetensors", "b.safetensors"], f"lacks {INDEX}, which says what a.safe"),
    "nothing": (["training_args.bin", "README.md"], f"lacks {SINGLE}$"),
}


@pytest.mark.parametrize("kind", FILES)
def test_other_files_of_weights_are_named(kind: str, tmp_path: Path) -> None:
    tiny_model(tokenizer=True).save_pretrained(tmp_path)
    no_tensors(tmp_path)
    names, message = FILES[kind]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert refused(tmp_path, message)["family"]["name"] == "LLaDA-V"


def test_a_missing_shard_is_counted(tmp_path: Path) -> None:
    LAYOUTS["LLaDA-V"](tmp_path)
    shard = sorted(tmp_path.glob("*.safetensors"))[2]
    shard.unlink()
    found = refused(tmp_path, f"lacks {shard.name}")
    assert found["shards"]["missing"] == [shard.name] and found["stored"]["tensors"] > 0


def test_special_tokens_that_are_no_tokens(tmp_path: Path) -> None:
    """As where they stand in no file that was copied."""
    tiny_model(tokenizer=True).save_pretrained(tmp_path)
    words = json.loads((tmp_path / "tokenizer.json").read_text())
    added = [token for token in words["added_tokens"] if token["content"] != "<|mdm_mask|>"]
    for i, token in enumerate(added):
        token["id"] = 256 + i
    late = {"id": 256 + len(added), "content": "<|mdm_mask|>"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({**words, "added_tokens": added}))
    message = r"special tokens of LLaDA-V: <\|mdm_mask\|> is 12 tokens; add them to tokenizer_c"
    found = refused(tmp_path, message)
    assert len(found["tokenizer"]["special"]["<|mdm_mask|>"]) == 12
    decoder = {str(late["id"]): {"content": late["content"], "special": True}}
    content = json.dumps({"added_tokens_decoder": decoder})
    (tmp_path / "tokenizer_config.json").write_text(content)
    loaded = load(tmp_path, device="cpu")
    assert loaded.spec.mask_id == late["id"] == examined(tmp_path)["tokenizer"]["mask"]


@pytest.mark.parametrize("family", [LLADA_V, DREAM], ids=lambda family: family.name)
def test_ids_without_a_row_are_reported(
    family: Family, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tiny_model(tokenizer=True, family=family)
    rows = whole.spec.geometry.vocab
    small = tiny_model(tokenizer=True, family=family, vocab=rows - 3)
    small.save_pretrained(tmp_path)
    caplog.clear()
    own = load(tmp_path, device="cpu")
    assert own.spec.geometry.vocab == rows - 3
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1 and f"the 3 ids from {rows - 3} on can be neither read" in warned[0]
    found = examined(tmp_path)
    assert found["ok"] and found["warnings"] == [warned[0].partition(": ")[2]]
    edit_json(tmp_path / "config.json", vocab_size=rows - 9)
    refused(tmp_path, f"has {rows - 3} rows, vocab_size={rows - 9}")


def test_rows_beyond_a_tokenizer_with_holes(tmp_path: Path) -> None:
    """The vocabulary is cut behind the largest id, not at the number of tokens."""
    own = tiny_model(tokenizer=True, vocab=300)
    own.save_pretrained(tmp_path)
    extra = {"added_tokens_decoder": {"280": {"content": "<late>", "special": True}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(extra))
    loaded = load(tmp_path, device="cpu")
    assert loaded.spec.geometry.vocab == 281 and loaded.processor.encode("<late>") == [280]
    assert loaded.processor.decode([270, 275]) == ""
    assert examined(tmp_path)["decoder"]["rows"] == 300


def test_the_table_names_everything(tmp_path: Path) -> None:
    LAYOUTS["LLaDA-V"](tmp_path)
    result = CliRunner().invoke(app, ["doctor", "--model", str(tmp_path)])
    text = " ".join(result.stdout.split())
    parts = ("LLaDA-V, from-scratch", "4 layers, 4 heads", "bfloat16", "free: cpu", "and 27 more")
    assert [part for part in parts if part not in text] == []
    assert result.exit_code == 0 and text.endswith("verdict loads")


def test_the_doctor_takes_names_and_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def cached(repo_id: str, **options: Any) -> str:
        asked.append(options)
        raise LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    for name, said in (
        ("some/model", "some/model is not in the local cache: download it, or give its folder"),
        ("embedded/gpt", "unknown embedded model 'embedded/gpt'; known: "),
        ("nowhere", "no checkpoint folder at nowhere; give a folder"),
    ):
        found = examined(Path(name))
        assert not found["ok"] and found["verdict"].startswith(said)
    assert [options["local_files_only"] for options in asked] == [True]
    assert examined(Path("embedded/llada-v"))["ok"]
