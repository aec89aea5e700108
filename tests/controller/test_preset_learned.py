"""The learned model of a preset: its own, by its hash, from its folder, and no other file."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from saccade.controller import Controller, Preset, PresetError
from saccade.controller.preset import Learned
from saccade.controller.preset_controller import learned_file
from tests.controller.learned_files import shared_file
from tests.controller.presets import content, made


def with_learned(folder: Path, data: bytes = b"{}") -> Preset:
    (folder / "m.json").write_bytes(data)
    learned = Learned(file="m.json", hash=hashlib.sha256(data).hexdigest())
    return made().model_copy(update={"learned": learned})


def test_a_learned_model_is_found_by_its_hash(tmp_path: Path) -> None:
    own = with_learned(tmp_path)
    assert learned_file(own, tmp_path) == tmp_path / "m.json"
    (tmp_path / "m.json").write_bytes(b"{ }")
    with pytest.raises(PresetError, match="is not the learned model"):
        learned_file(own, tmp_path)
    (tmp_path / "m.json").unlink()
    with pytest.raises(FileNotFoundError):
        learned_file(own, tmp_path)
    with pytest.raises(PresetError, match="give the folder"):
        learned_file(own, None)


def test_a_learned_model_lies_in_the_folder_or_in_the_store_of_a_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "snapshots" / "abc"
    cache.mkdir(parents=True)
    own, store = with_learned(cache), tmp_path / "cache" / "blob"
    (cache / "m.json").rename(store)
    (cache / "m.json").symlink_to(store)
    with pytest.raises(PresetError, match="leads out of"):
        learned_file(own, cache)
    assert learned_file(own, cache, tmp_path / "cache") == cache / "m.json"
    (cache / "m.json").unlink()
    store.rename(tmp_path / "elsewhere")
    (cache / "m.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PresetError, match="leads out of"):
        learned_file(own, cache, tmp_path / "cache")


def test_a_learned_policy_comes_with_its_model() -> None:
    for policy in ("learned('m.json')", "Learned(file='m.json')", "auto() + learned('m')"):
        with pytest.raises(ValueError, match="learned|Learned"):
            made(policy=policy)


@pytest.mark.parametrize(
    "policy",
    [
        "learned('m.json') + learned('secret')",
        "learned('m.json') + learned(risk=0.1, file='secret')",
        "Learned(file='secret') + abstain(learned('m.json'))",
        "compose(policies=((learned('m.json'), Learned('secret')),))",
        "abstain(learned('secret'))",
        "auto() + learned(0.1, risk=0.1)",
        "learned() + learned('m.json')",
        "auto()",
    ],
)
def test_a_preset_reads_its_own_learned_model_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """A word is the name of a file, too: one of the working directory."""
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    for folder, name in ((own, "m.json"), (elsewhere, "secret")):
        folder.mkdir()
        shutil.copy(shared_file(), folder / name)
    monkeypatch.chdir(elsewhere)
    digest = hashlib.sha256((own / "m.json").read_bytes()).hexdigest()
    learned = {"file": "m.json", "hash": digest}
    (own / "preset.json").write_text(json.dumps(content(policy=policy, learned=learned)))
    with pytest.raises(PresetError, match="learned model"):
        Controller.from_preset(own)
    (own / "preset.json").write_text(
        json.dumps(content(policy="learned('m.json')", learned=learned))
    )
    assert str(own / "m.json") in repr(Controller.from_preset(own).policy)
