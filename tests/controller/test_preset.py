"""Presets: what they say is read, and nothing else; their controllers do what they say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saccade.controller import Controller, Keep, Preset, PresetError, SaccadeError, parse_policy
from saccade.controller.preset import FrontPoint, Search, Splits
from tests.controller.presets import HASH, certificate, content, made


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


def test_from_preset_takes_a_preset_a_path_and_a_folder(tmp_path: Path) -> None:
    file = made().write(tmp_path)
    for given_as in (made(), file, str(file), tmp_path, str(tmp_path)):
        own = Controller.from_preset(given_as, probe="all")
        assert repr(own.policy) == "auto()" and own.probe == "all" and own.promise is not None
        assert own._pruner_is_default and own.pruner is not None
    assert Controller().promise is None
    with pytest.raises(TypeError, match="no preset"):
        Controller.from_preset(3)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            "with confidence 0.9 at most 0.05 of the answers differ from the unpruned ones (9 of "
            "300 samples did, p = 0.065; task code, 2026-01-31)",
        ),
        (
            {"loss": "edits"},
            "with confidence 0.9 the mean loss (edits) of the answers is at most 0.05 (0.03 over "
            "300 samples, p = 0.065; task code, 2026-01-31)",
        ),
        (
            {"outcome": "abstained", "needed": 900},
            "abstained: it is not shown with confidence 0.9 that at most 0.05 of the answers "
            "differ from the unpruned ones (9 of 300 samples did); that would need at least 900 "
            "samples",
        ),
        (
            {"outcome": "abstained", "loss": "lost"},
            "abstained: it is not shown with confidence 0.9 that the mean loss (lost) of the "
            "answers is at most 0.05 (0.03 over 300 samples); that would need another setting",
        ),
    ],
    ids=["kept", "kept-mean", "abstained", "abstained-mean"],
)
def test_a_certificate_says_what_it_promises(changes: dict[str, Any], said: str) -> None:
    assert certificate(**changes).sentence() == said
