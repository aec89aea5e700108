"""The folder of a training: its recipe, who may go on in it, and one process at a time."""

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
from tokenizers import Tokenizer

from saccade.controller.errors import StudyError
from saccade.studies.training.config import Stage, TrainConfig
from saccade.studies.training.folder import claimed, training_recipe
from saccade.studies.training.progress import append_figures
from saccade.studies.training.tokenizer import save_tokenizer

CONFIG = TrainConfig(name="a", seed=3, stages=(Stage(kind="vision", steps=1, pages=2, lr=1e-3),))


def recipe(**changes: Any) -> dict[str, Any]:
    return training_recipe(CONFIG, "cpu", workers=1) | changes


def saved(folder: Path, **changes: Any) -> Path:
    """A folder in which a training has saved a state."""
    with claimed(folder, recipe(**changes)) as changed:
        assert changed == ()
    (folder / "state.pt").touch()
    return folder


def kept(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return content


def test_the_recipe_says_what_a_training_depends_on(tmp_path: Path) -> None:
    kept_recipe = kept(saved(tmp_path / "run"))
    assert TrainConfig.model_validate(kept_recipe["config"]) == CONFIG
    assert (kept_recipe["seed"], kept_recipe["workers"], kept_recipe["device"]) == (3, 1, "cpu")
    assert "torch" in kept_recipe["versions"] and "cpu" in kept_recipe["hardware"]
    assert set(kept_recipe["git"]) == {"commit", "dirty"}
    assert not list((tmp_path / "run").glob("*.partial"))


def test_the_same_training_goes_on(tmp_path: Path) -> None:
    before = kept(saved(tmp_path))
    (tmp_path / "log.jsonl").write_text("{}\n")
    with claimed(tmp_path, recipe()) as changed:
        assert changed == ()
    assert kept(tmp_path) == before and (tmp_path / "log.jsonl").read_text() == "{}\n"


def test_other_versions_are_noted_each_time_they_change(tmp_path: Path) -> None:
    before = kept(saved(tmp_path))
    other = {"device": "cuda", "versions": recipe()["versions"] | {"torch": "0"}}
    for wanted in (("device", "versions.torch"), ()):
        with claimed(tmp_path, recipe(**other)) as changed:
            assert changed == wanted
    with claimed(tmp_path, recipe(**other | {"device": "cpu"})) as changed:
        assert changed == ("device",)
    resumed = kept(tmp_path).pop("resumed")
    assert [time["device"] for time in resumed] == ["cuda", "cpu"]
    assert kept(tmp_path) == before | {"resumed": resumed}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 2}, r"another recipe\. Different: workers \(1 there, 2 now\)\. Give another"),
        (
            {"config": CONFIG.model_copy(update={"seed": 4}).model_dump(mode="json")},
            r"Different: config\.seed \(3 there, 4 now\)",
        ),
    ],
)
def test_another_training_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    before = kept(saved(tmp_path))
    with pytest.raises(StudyError, match=message), claimed(tmp_path, recipe(**changes)):
        pass
    assert kept(tmp_path) == before


def test_a_training_that_saved_no_state_binds_nobody(tmp_path: Path) -> None:
    with claimed(tmp_path, recipe()):
        (tmp_path / "log.jsonl").write_text("{}\n")
    with claimed(tmp_path, recipe(workers=2)):
        assert kept(tmp_path)["workers"] == 2
        assert (tmp_path / "log.jsonl").read_text() == ""


def test_a_log_of_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n")
    with claimed(tmp_path, recipe()):
        assert (tmp_path / "log.jsonl").read_text() == "{}\n"


def test_a_state_without_a_recipe_is_refused(tmp_path: Path) -> None:
    (saved(tmp_path) / "training.json").unlink()
    with pytest.raises(StudyError, match="no training.json that says of which training; give"):
        with claimed(tmp_path, recipe()):
            pass


@pytest.mark.parametrize("content", ["", '{"config": ', "[]", "{}"])
def test_a_damaged_recipe_is_named_with_advice(tmp_path: Path, content: str) -> None:
    (saved(tmp_path) / "training.json").write_text(content)
    with pytest.raises(StudyError, match=r"training\.json .*give another --out"):
        with claimed(tmp_path, recipe()):
            pass


def test_one_training_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path, recipe()):
        with pytest.raises(StudyError, match=f"another process is writing to {tmp_path}; wait"):
            with claimed(tmp_path, recipe()):
                pass
    with claimed(tmp_path, recipe()) as changed:
        assert changed == ()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="run cannot be written: Not a directory"):
        with claimed(tmp_path / "file" / "run", recipe()):
            pass


def test_the_log_is_strict_json(tmp_path: Path) -> None:
    append_figures(tmp_path / "log.jsonl", 1, 20, {"a": 0.12345, "b": math.nan, "c": math.inf})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json.loads((tmp_path / "log.jsonl").read_text(), parse_constant=refuse)
    assert line == {"stage": 1, "step": 20, "a": 0.1235, "b": None, "c": None}


def test_a_tokenizer_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    class Interrupted:
        def save(self, path: str) -> None:
            Path(path).write_text("{")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_tokenizer(cast(Tokenizer, Interrupted()), tmp_path)
    assert not list(tmp_path.iterdir())
