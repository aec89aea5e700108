"""Presets: what is written is read, and nothing else is; none of it runs or reaches out."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saccade.controller import Controller, Keep, Preset, PresetError, SaccadeError, parse_policy
from saccade.controller.certificate import Certificate, Checked, NullRate
from saccade.controller.preset import FrontPoint, Learned, Search, Splits
from saccade.controller.preset_controller import learned_file
from saccade.controller.preset_files import LARGEST, read_object
from saccade.controller.preset_names import find_preset, shipped_presets
from tests.controller.learned_files import shared_file
from tests.controller.presets import HASH, content, made

BAD = (PresetError, FileNotFoundError)


def certificate(**changes: Any) -> Certificate:
    fields: dict[str, Any] = {
        "outcome": "kept",
        "max_change": 0.05,
        "confidence": 0.9,
        "n": 300,
        "questions": 300,
        "changed": 9.0,
        "p_value": 0.065,
        "null": NullRate(loss=0.0, n=300),
        "tested": (Checked(policy="auto()", loss=0.03, p_value=0.065, passed=True),),
        "task": "code",
        "backbone": HASH,
        "date": "2026-01-31",
    }
    return Certificate(**(fields | changes))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    whole = made(
        policy="progressive(cover=0.9) + layer_skip()",
        pruner="fastv(queries='all')",
        positions="compact",
        generation={"gen_length": 16, "stopping_criteria": ("a", "b"), "top_p": None, "eps": 0.1},
        front=FrontPoint(score=0.9, ideal=2.0, measured=1.5, measured_low=1.4, measured_high=1.6),
        splits=Splits(seed=3, tune=50, certify=300, test=300),
        search=Search(trials=40, seconds=12.5, command="saccade tune run demo"),
        certificate=certificate(),
        versions={"torch": "2.11"},
    )
    file = whole.write(tmp_path / "a.json")
    assert Preset.read(file) == whole
    whole.write(tmp_path)
    assert Preset.read(tmp_path) == whole and (tmp_path / "preset.json").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert json.loads(file.read_text())["schema"] == 1


def test_the_controller_is_what_the_texts_say() -> None:
    own = made(policy="after_share(0.5, keep=0.25)", pruner="uniform()").controller()
    assert repr(own.policy) == repr(parse_policy("after_share(0.5, keep=0.25)"))
    assert type(own.pruner).__name__ == "UniformGrid"
    assert own.promise is not None and own.promise.preset.name == "mine"


def test_a_preset_that_abstained_does_nothing() -> None:
    own = made(certificate=certificate(outcome="abstained", needed=900)).controller()
    assert isinstance(own.policy, Keep)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": "__import__('os').system('true')"}, "not read"),
        ({"policy": "atuo()"}, "did you mean auto"),
        ({"policy": "auto(commit=1e999)"}, "value=inf"),
        ({"policy": "auto(commit=" + "9" * 400 + ")"}, "beyond all bounds"),
        ({"policy": "-" * 3000 + "1"}, "policy"),
        ({"policy": "(" * 190 + "auto" + ")" * 190 + "x"}, "policy"),
        ({"policy": "a" * 5000}, "4000"),
        ({"policy": 3}, "string"),
        ({"pruner": "fastv(queries='/etc/passwd')"}, "names no file"),
        ({"pruner": "fastv(queries='../x')"}, "names no file"),
        ({"pruner": "open('x')"}, "unknown pruner"),
        ({"positions": "elsewhere"}, "positions"),
        ({"schema": 2}, "update saccade"),
        ({"schema": "1"}, "schema"),
        ({"schema": True}, "schema"),
        ({"extra": 1}, "extra"),
        ({"name": ""}, "name"),
        ({"name": "a\x1b[31m"}, "name"),
        ({"name": "a\nerror: all is lost"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "a\x9b31m"}, "name"),
        ({"name": "a\ud800"}, "name|not a preset"),
        ({"search": {"command": "a\x1b]0;b\x07"}}, "command"),
        ({"backbone": {"name": "x", "hash": "abc"}}, "hash"),
        ({"task": {"name": "x", "class": "medium"}}, "class"),
        ({"front": {"ideal": -1.0}}, "ideal"),
        ({"front": {"score": 10**400}}, "score"),
        ({"splits": {"seed": 10**30}}, "seed"),
        ({"search": {"trials": -1}}, "trials"),
        ({"generation": {"gen_length": {"a": 1}}}, "gen_length"),
        ({"generation": {"gen_length": 10**40}}, "gen_length"),
        ({"generation": {str(i): 1 for i in range(100)}}, "generation"),
        ({"learned": {"file": "../m.json", "hash": HASH}}, "file"),
        ({"learned": {"file": "/etc/passwd", "hash": HASH}}, "file"),
        ({"learned": {"file": "..", "hash": HASH}}, "file"),
        ({"learned": {"file": ".hidden", "hash": HASH}}, "file"),
        ({"learned": {"file": "a\\b", "hash": HASH}}, "file"),
        ({"learned": {"file": "a\n", "hash": HASH}}, "file"),
        ({"certificate": {"outcome": "kept"}}, "certificate"),
        ({"device": None}, "device"),
    ],
)
def test_what_is_no_preset_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content(**changes)))
    with pytest.raises(PresetError, match=said):
        Preset.read(file)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a":' * 100_00 + b"1" + b"}" * 100_00,
        b"[" * 100_000,
        b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"{" + b" " * (LARGEST + 1) + b"}",
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(data)
    with pytest.raises(PresetError, match=str(file)):
        Preset.read(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Preset.read(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError):
        Preset.read(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(PresetError, match="no regular file|not a regular file"):
        Preset.read(pipe)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.json", tmp_path / "own"
    made().write(outside)
    folder.mkdir()
    (folder / "preset.json").symlink_to(outside)
    with pytest.raises(PresetError, match="leads out of"):
        Preset.read(folder)
    (folder / "preset.json").unlink()
    (folder / "preset.json").symlink_to(folder / "preset.json")
    with pytest.raises(BAD):
        Preset.read(folder)
    (folder / "preset.json").unlink()
    made().write(folder / "real.json")
    (folder / "preset.json").symlink_to("real.json")
    assert Preset.read(folder) == made()


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
KEYS = sorted(content())


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        own = Preset.load_text(content(**changes), "here")
    except PresetError:
        return
    assert Preset.load_text(own.model_dump(mode="json", by_alias=True), "here") == own
    own.controller()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_to_a_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray(
        json.dumps(content(certificate=json.loads(certificate().model_dump_json()))).encode()
    )
    for _ in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "fuzzed.json"
    file.write_bytes(bytes(text[: data.draw(st.integers(0, len(text)))]))
    try:
        Preset.read(file).controller()
    except PresetError:
        pass


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="auto()=.,'+-*/_[]{}0123456789 \\n", max_size=60))
def test_any_policy_is_read_or_refused(policy: str) -> None:
    try:
        Preset.load_text(content(policy=policy), "here")
    except PresetError:
        pass


@pytest.mark.parametrize(
    "name", ["embedded/llada-v/lnog", "embedded/../../etc/passwd", "./no.json"]
)
def test_unknown_names_list_what_there_is(name: str) -> None:
    with pytest.raises(PresetError, match="no preset") as caught:
        find_preset(name)
    assert all(known in str(caught.value) for known in shipped_presets())


@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "~nobody-there/x/y", "", " ", "a//b"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises((PresetError, FileNotFoundError)):
        find_preset(name)


def test_the_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_: Any, **__: Any) -> None:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(PresetError, match="cannot be reached: go online, or give the path"):
        Controller.from_preset("owner/preset-of-mine")


def test_a_preset_of_the_hub_is_read_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    made().write(blobs / "123")
    (snapshot / "preset.json").symlink_to("../../blobs/123")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda _, file: str(snapshot / file))
    found = find_preset("owner/preset-of-mine")
    assert found.preset == made() and found.root == tmp_path


def test_from_preset_takes_a_preset_a_path_and_a_folder(tmp_path: Path) -> None:
    file = made().write(tmp_path)
    for given_as in (made(), file, str(file), tmp_path, str(tmp_path)):
        own = Controller.from_preset(given_as, probe="all")
        assert repr(own.policy) == "auto()" and own.probe == "all" and own.promise is not None
        assert own._pruner_is_default and own.pruner is not None
    assert Controller().promise is None
    with pytest.raises(TypeError, match="no preset"):
        Controller.from_preset(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", shipped_presets())
def test_shipped_presets_are_sound(name: str) -> None:
    own = find_preset(name).preset
    assert own.name == name and name.startswith(f"{own.backbone.name}/")
    assert name.endswith(f"/{own.task.kind}")
    assert own.search.command.startswith("saccade ") and own.splits.test > 0
    assert own.front.score_relative is not None and own.front.ideal is not None
    assert own.certificate is not None and own.certificate.backbone == own.backbone.hash
    Controller.from_preset(name)


def test_reading_bounds_are_on_the_whole_object(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"a": [{"b": {}}]}))
    assert read_object(file) == ({"a": [{"b": {}}]}, file)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made().write(tmp_path / "a.json")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        made(name="other").write(file)
    assert Preset.read(file) == made() and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_controller_loads_pydantic_only_for_presets() -> None:
    code = (
        "import sys, saccade; assert 'pydantic' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_makes_no_controller_is_told_as_the_fault_of_the_preset() -> None:
    with pytest.raises(PresetError, match="'mine' makes no controller: .*allowed: 'all'"):
        Controller.from_preset(made(), probe="some")  # type: ignore[arg-type]


def test_preset_errors_are_ours() -> None:
    assert issubclass(PresetError, SaccadeError)
