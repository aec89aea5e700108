"""Recipes: what they hold, and how two of them differ."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from saccade.backbones import load
from saccade.backbones.loading import resolve
from saccade.controller.errors import StudyError
from saccade.controller.types import Geometry
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.attention_kernel import attention_kernel
from saccade.studies.runs.recipe import SOURCES, git_state, make_recipe
from saccade.studies.runs.recipe_files import check_recipe, differences, extends


def test_a_recipe_is_complete_and_survives_json(config: StudyConfig) -> None:
    recipe = make_recipe(config, load(config.model))
    assert json.loads(json.dumps(recipe)) == recipe
    assert recipe["config"]["batch"] == 2
    assert recipe["config"]["cases"][1]["policy"] == "after_share(share=0.5, keep=0.25)"
    assert recipe["cases"]["half"]["policy"] == "after_share(share=0.5, keep=0.25)"
    assert recipe["cases"]["half"]["pruner"] == "random()"
    assert recipe["cases"]["none"] == {"policy": "None", "pruner": "None"}
    assert recipe["settings"]["code"]["steps"] == 8
    assert recipe["settings"]["code"]["temperature"] == 0.0
    assert recipe["backbone"]["origin"] == "from-scratch"
    weights = resolve(config.model) / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert recipe["model_files"]["model.safetensors"] == digest
    assert set(recipe["versions"]) >= {"saccade", "python", "torch", "tokenizers", "numpy"}
    assert set(recipe["hardware"]) == {"system", "cpu", "cores", "threads", "gpu"}
    assert set(recipe["git"]) == {"commit", "dirty"}
    assert recipe["backbone"]["attention"].startswith("sdpa (cpu") and "command" not in recipe
    told = make_recipe(config, load(config.model), command="saccade study run x")
    assert told == recipe | {"command": "saccade study run x"}


def test_runs_go_on_from_recipes_that_lack_what_is_recorded_since(tmp_path: Path) -> None:
    old = {"config": {"samples": 4}, "backbone": {"device": "cpu"}}
    new = {"config": {"samples": 4}, "backbone": {"device": "cpu", "attention": "sdpa (cpu)"}}
    check_recipe(tmp_path, old, new | {"command": "saccade study run a"})
    check_recipe(tmp_path, new | {"command": "saccade study run a -j 2"}, new | {"command": "b"})
    assert not extends(old, new | {"command": "b"}), "nothing has grown"
    longer = new | {"config": {"samples": 6, "grown": [4]}, "command": "b"}
    assert extends(old, longer)
    other = {"config": {"samples": 4}, "backbone": {"device": "cpu", "attention": "sdpa (math)"}}
    with pytest.raises(StudyError, match="backbone.attention"):
        check_recipe(tmp_path, new, other)


@pytest.mark.parametrize("n_kv_heads", [4, 2])
def test_the_kernel_is_the_one_that_torch_chooses(n_kv_heads: int) -> None:
    geometry = Geometry(
        n_layers=1, hidden=64, intermediate=64, n_heads=4, n_kv_heads=n_kv_heads, vocab=8
    )
    cpu = torch.device("cpu")
    with sdpa_kernel(SDPBackend.MATH):
        assert attention_kernel(geometry, cpu, torch.float32) == "sdpa (cpu, math)"
    assert attention_kernel(geometry, cpu, torch.float32).startswith("sdpa (cpu")


def test_differences_are_named_down_to_the_leaf() -> None:
    a = {"config": {"samples": 48, "cases": [{"name": "a"}]}, "seed": 0, "gone": None}
    b = {"config": {"samples": 24, "cases": [{"name": "b"}, {"name": "c"}]}, "seed": 0}
    assert differences(a, b) == {
        "config.samples": (48, 24),
        "config.cases.0.name": ("a", "b"),
        "config.cases.1.name": (None, "c"),
    }
    assert differences(a, a) == {}


def git(folder: Path, *arguments: str) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *names, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    for folder in SOURCES:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "begin")
    return tmp_path


def test_a_clean_checkout_has_a_commit_and_nothing_dirty(checkout: Path) -> None:
    state = git_state(checkout)
    assert state["commit"] is not None
    assert len(state["commit"]) == 40
    assert state["dirty"] is None


def test_only_changed_sources_make_a_checkout_dirty(checkout: Path) -> None:
    (checkout / "notes.md").write_text("anything")
    assert git_state(checkout)["dirty"] is None
    states = []
    for text in ("b = 1\n", "b = 2\n"):
        (checkout / "studies" / "new name.py").write_text(text)
        states.append(git_state(checkout)["dirty"])
    (checkout / "pruners" / "a.py").unlink()
    states.append(git_state(checkout)["dirty"])
    assert None not in states
    assert len(set(states)) == 3


def test_another_projects_checkout_is_not_ours(checkout: Path) -> None:
    nothing = {"commit": None, "dirty": None}
    assert git_state(checkout / "studies") == nothing
