"""Looking into checkpoints, and damaging them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from saccade.backbones import Model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def weights(model: Model) -> dict[str, torch.Tensor]:
    return model.network.state_dict()


def assert_same(a: Model, b: Model) -> None:
    mine, theirs = weights(a), weights(b)
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name].dtype == theirs[name].dtype and torch.equal(mine[name], theirs[name])


def edit_json(path: Path, **changes: Any) -> None:
    content = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in content.items() if value is not ...}
    path.write_text(json.dumps(kept))


def edit_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
