"""Learned models that presets take along."""

from pathlib import Path

import pytest

from saccade.controller import Abstain, Controller, Learned, PresetError
from saccade.controller.learned.stored import write_learned
from saccade.controller.preset_learned import learned_files, take_along
from tests.controller.learned_files import content
from tests.controller.presets import made


def learned_file(folder: Path) -> str:
    return str(write_learned(folder / "learned.json", content()))


def test_a_policy_that_reads_nothing_stays_as_it_is(tmp_path: Path) -> None:
    assert take_along("auto(commit=0.9)", tmp_path) == ("auto(commit=0.9)", None)
    assert not list(tmp_path.iterdir())


def test_the_model_lies_beside_the_preset_and_makes_the_same_controller(tmp_path: Path) -> None:
    source = learned_file(tmp_path)
    folder = tmp_path / "preset"
    folder.mkdir()
    text = f"abstain(learned(file={source!r}, risk=0.2), steps=4)"
    policy, learned = take_along(text, folder)
    assert policy == "abstain(learned(file='learned.json', risk=0.2), steps=4)"
    assert learned is not None and learned.file == "learned.json"
    assert (folder / learned.file).read_bytes() == Path(source).read_bytes()
    path = made(policy=policy, learned=learned).write(folder / "preset.json")
    own = Controller.from_preset(path).policy
    assert isinstance(own, Abstain) and own.steps == 4
    assert isinstance(own.policy, Learned) and own.policy.risk == 0.2
    assert take_along(text, folder) == (policy, learned), "twice is no harm"


def test_a_model_given_by_place_is_found() -> None:
    assert learned_files("compose([learned('a.json'), Learned(file='b.json')])") == [
        "a.json",
        "b.json",
    ]
    assert learned_files("keep()") == []
    with pytest.raises(ValueError, match="is not read"):
        learned_files("keep(")


def test_what_cannot_be_taken_along_is_told(tmp_path: Path) -> None:
    source = learned_file(tmp_path)
    folder = tmp_path / "preset"
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no learned model at .*absent\.json"):
        take_along(f"learned(file={str(tmp_path / 'absent.json')!r})", folder)
    with pytest.raises(PresetError, match="reads 2 learned models"):
        take_along(f"compose([learned({source!r}), learned('b.json')])", folder)
    assert not list(folder.iterdir()), "nothing half written"


def test_another_model_of_that_name_stays(tmp_path: Path) -> None:
    source = learned_file(tmp_path)
    folder = tmp_path / "preset"
    folder.mkdir()
    (folder / "learned.json").write_text("another", encoding="utf-8")
    policy, learned = take_along(f"learned(file={source!r})", folder)
    assert learned is not None and learned.file == f"learned-{learned.hash[:12]}.json"
    assert learned.file in policy and (folder / "learned.json").read_text("utf-8") == "another"


def test_a_model_named_like_a_preset_gets_another_name(tmp_path: Path) -> None:
    source = Path(learned_file(tmp_path)).rename(tmp_path / "preset.json")
    folder = tmp_path / "own"
    folder.mkdir()
    policy, learned = take_along(f"learned(file={str(source)!r})", folder)
    assert learned is not None and learned.file == "learned.json" and "learned.json" in policy
