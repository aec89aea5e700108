"""Searches over learned schedules: the model goes with the preset, and the front is certified."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from saccade.backbones import load
from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.controller import Controller, Learned
from saccade.controller.learned.actions import Action
from saccade.controller.learned.stored import write_learned
from saccade.controller.preset import Preset
from saccade.studies.cli import app
from saccade.studies.runs import tune
from saccade.tuning.setting import NOTHING
from tests.controller.learned_files import content, line

CONFIG = """
name: own
task: digit
trials: 3
max_drop: 100%
baselines: false
samples: {tune: 2, test: 2}
policies: ["learned(file='mine/learned.json')"]
"""


def saccade(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, [*map(str, words)])


def write_model(base: float) -> None:
    """One that finds every action as safe, whatever a step shows."""
    model = load("embedded/llada-v")
    actions = [Action(keep=0.5), Action(keep=0.25)]
    made = content(model.spec, actions, line=line() | {"base": base})
    made["backbone"]["hash"] = fingerprint(model.network)
    write_learned(Path("mine") / "learned.json", made)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search of the risk that a model takes which calls every action safe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "first_settings", lambda *_: {"no-op": NOTHING})
    Path("mine").mkdir()
    write_model(base=-9.0)
    path = tmp_path / "own.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_search_takes_its_learned_model_along(config: Path) -> None:
    done = saccade("tune", "run", config, "--out", "run")
    assert done.exit_code == 0, done.output
    result = json.loads(Path("run/result.json").read_text(encoding="utf-8"))
    rows = [row for row in result["front"] if "learned" in row["policy"]]
    assert rows and all("mine" not in row["policy"] for row in rows)
    shutil.rmtree("mine")
    preset = Preset.read("run")
    assert preset.learned is not None and preset.learned.file == "learned.json"
    assert isinstance(Controller.from_preset("run").policy, Learned)
    Path("other").mkdir()
    certified = saccade("certify", "run", "--samples", 3, "--out", "other/certified.json")
    assert certified.exit_code == 0, certified.output
    found = Preset.read("other/certified.json")
    assert found.certificate is not None and found.learned == preset.learned
    assert Path("other/learned.json").read_bytes() == Path("run/learned.json").read_bytes()


def test_another_model_in_the_same_file_is_another_search(config: Path) -> None:
    assert saccade("tune", "run", config, "--out", "run").exit_code == 0
    write_model(base=9.0)
    again = saccade("tune", "run", config, "--out", "run", "--trials", 4)
    assert again.exit_code == 2 and "recipe: learned" in again.stderr


def test_a_preset_that_is_made_takes_its_learned_model_along(config: Path) -> None:
    words = ["--task", "digit", "--samples", 2, "--policy", "learned('mine/learned.json', 0.1)"]
    Path("own").mkdir()
    done = saccade("presets", "make", *words, "--out", "own/x.json")
    assert done.exit_code == 0, done.output
    shutil.rmtree("mine")
    made = Controller.from_preset("own/x.json").policy
    assert isinstance(made, Learned) and made.risk == 0.1
    assert Preset.read("own/x.json").policy == "learned('learned.json', 0.1)"
