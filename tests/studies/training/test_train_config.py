"""Configurations of trainings: what is wrong is named before anything runs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from saccade.controller.errors import StudyError
from saccade.studies.cli.configs import shipped
from saccade.studies.tasks.documents import KINDS
from saccade.studies.training.config import TrainConfig, load_train_config

VISION = {"kind": "vision", "steps": 2, "pages": 2, "lr": 1e-3}
MODEL = {"kind": "model", "steps": 2, "pages": 2, "lr": 1e-3, "per_page": {"digit": 1}}
GUIDED = MODEL | {"shared_prefix": True, "guide": 1.0, "guide_steps": 2}


def load(folder: Path, **values: Any) -> TrainConfig:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "stages": [VISION, MODEL]} | values))
    return load_train_config(path)


@pytest.mark.parametrize("name", shipped("train"))
def test_shipped_configurations_are_valid_and_survive_json(name: str) -> None:
    config = load_train_config(shipped("train")[name])
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


LIMITS = {"final_lr": 1, "warmup": 0, "weight_decay": 0, "tower_lr": 0, "ema": 0, "omitted": 0.99}


def test_limits_are_allowed(tmp_path: Path) -> None:
    config = load(tmp_path, seed=0, stages=[MODEL | LIMITS, GUIDED | {"guide_layer": 5}])
    assert config.stages[0].final_lr == 1 and config.stages[1].guide_layer == 5


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"steps": 0}, "steps: .*greater than or equal to 1"),
    ({"steps": 2.0}, "steps: .*integer"),
    ({"pages": -1}, "pages: "),
    ({"pages": True}, "pages: "),
    (
        {"per_page": {"digt": 1}},
        f"unknown task 'digt'; did you mean digit. known: {', '.join(KINDS)}$",
    ),
    ({"per_page": {"digit": 0}}, r"per_page\.digit: .*\(given: 0\)"),
    ({"per_page": {}}, f"a model stage needs per_page, .*kinds: {', '.join(KINDS)}$"),
    ({"omitted": 1}, "omitted: "),
    ({"lr": 0}, "lr: "),
    ({"lr": float("inf")}, "lr: "),
    ({"lr": float("nan")}, "lr: "),
    ({"final_lr": 1.1}, "final_lr: "),
    ({"final_lr": -0.1}, "final_lr: "),
    ({"warmup": -1}, "warmup: "),
    ({"weight_decay": -0.1}, "weight_decay: "),
    ({"clip": 0}, "clip: "),
    ({"ema": 1}, "ema: "),
    ({"ema": -0.1}, "ema: "),
    ({"tower_lr": -1}, "tower_lr: "),
    ({"guide": -1}, "guide: "),
    ({"guide_steps": -1}, "guide_steps: "),
    ({"guide_layer": -1}, "guide_layer: "),
    ({"guide_layer": 5}, "guide_layer does nothing without guide"),
    (
        {"guide": 1.0, "guide_steps": 9, "shared_prefix": True, "guide_layer": 6},
        "guide_layer is 6; layers are 0 to 5$",
    ),
    ({"guide": 1.0, "guide_steps": 9}, "guide acts only where shared_prefix is true$"),
    ({"guide": 1.0, "shared_prefix": True}, "guide needs guide_steps"),
    ({"kind": "visoin"}, "kind: .*'vision' or 'model'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_stage_is_named_once(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=rf"config\.yaml: .*stages\.0.*{message}") as caught:
        load(tmp_path, stages=[MODEL | change])
    assert caught.value.args[0].count("stages") == caught.value.args[0].count("stages.0")


IDLE = [{"per_page": {"digit": 1}}, {"shared_prefix": True}, {"omitted": 0.1}, {"ema": 0.9}]


@pytest.mark.parametrize("change", [*IDLE, {"tower_lr": 0.5}, {"guide": 1.0}, {"guide_steps": 5}])
def test_what_a_vision_stage_would_ignore_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(StudyError, match=f"{next(iter(change))} does nothing in a vision stage"):
        load(tmp_path, stages=[VISION | change])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": []}, "stages: give one stage or more$"),
        ({"stages": None}, "stages: "),
        ({"stages": [{"kind": "vision", "steps": 1, "pages": 1}]}, r": stages\.0\.lr: missing$"),
        (
            {"stages": [VISION | {"pace": 1}]},
            r"yaml: unknown key 'pace' \(stages\.0\.pace\); did you mean pages\? allowed",
        ),
        (
            {"stagez": []},
            r"unknown key 'stagez' \(stagez\); did you mean stages\? allowed: name, family, ",
        ),
        ({"seed": -1}, "seed: "),
        ({"seed": 2**32}, "seed: "),
        ({"name": ""}, "name: "),
        ({"language": {"hidden_size": 0}}, r"language\.hidden_size: "),
        ({"language": {"n_layers": 0}}, r"language\.n_layers: "),
        ({"language": {"n_heads": 0}}, r"language\.n_heads: "),
        ({"language": {"rope_theta": 0}}, r"language\.rope_theta: "),
        (
            {"language": {"hidden_size": 12, "n_heads": 4}},
            "language: hidden_size 12 must be a multiple of 2 n_heads, here 8$",
        ),
        ({"language": {"width": 1}}, "unknown key 'width' .*; allowed: hidden_size, intermediate"),
        ({"tower": {"intermediate_size": 0}}, r"tower\.intermediate_size: "),
        ({"tower": {"hidden_size": 95}}, "tower: hidden_size 95 must be a multiple of n_heads"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load(tmp_path, **values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: [", "config.yaml is not valid YAML"),
        (b"name: x\nname: y", "config.yaml is not valid YAML: the key 'name' is given twice"),
        (b"\xff\xfe\x00", "config.yaml cannot be read"),
        (b"", r"config.yaml: .*dictionary.* \(given: None\)"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=message):
        load_train_config(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no training configuration at .*none.yaml"):
        load_train_config(tmp_path / "none.yaml")
