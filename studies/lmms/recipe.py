"""The recipe of the plug-in's answers: everything that their figures depend on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.loading import resolve
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.text_form import written
from saccade.studies.lmms.canvas import Canvas
from saccade.studies.runs.recipe import ROOT, file_hashes, git_state, hardware, versions
from saccade.studies.runs.recipe_files import read_recipe, write_recipe

RECIPE = "recipe.json"


class ModelRecipe:
    """How a model answers, in plain values.

    Parameters
    ----------
    model : Model
    controller : Controller or None
    name : str or None
        What the model was loaded from; None for one that was handed over.
    given : mapping
        Arguments as they were given.
    options : mapping
        Of `generate`, instead of the canvas.
    frames, seed, batch_size : int

    Attributes
    ----------
    key : str
        Of what answers depend on: not the device's name, versions and the like.
    """

    def __init__(
        self,
        model: Model,
        controller: Controller | None,
        *,
        name: str | None,
        given: Mapping[str, Any],
        options: Mapping[str, Any],
        frames: int,
        seed: int,
        batch_size: int,
    ) -> None:
        network = model.network
        self._deciding: dict[str, Any] = {
            "pretrained": name,
            "weights": fingerprint(network),
            **given,
            "policy": written(None if controller is None else controller.policy),
            "pruner": written(None if controller is None else controller.pruner),
            "options": dict(options),
            "frames": frames,
            "seed": seed,
            "batch_size": batch_size,
            "dtype": str(network.model.image_newline.dtype).removeprefix("torch."),
            "device": model.device.type,
        }
        self._backbone = {
            "name": model.spec.name,
            "origin": model.spec.origin,
            "geometry": asdict(model.spec.geometry),
            "dtype": self._deciding["dtype"],
            "device": model.device.type,
        }
        self._files = {} if name is None else file_hashes(resolve(name, given.get("revision")))
        text = json.dumps(self._deciding, sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode()).hexdigest()

    def write(self, folder: Path, canvases: Mapping[str, Canvas]) -> None:
        """Write ``recipe.json``; canvases of tasks that it has already stay."""
        path = folder / RECIPE
        before = read_recipe(path) or {}
        same = before.get("key") == self.key
        known = before.get("canvas", {}) if same else {}
        own = {task: canvas.plain() for task, canvas in canvases.items()}
        recipe = {
            "key": self.key,
            "model": self._deciding,
            "canvas": {**known, **own},
            "backbone": self._backbone,
            "model_files": self._files,
            "versions": versions() | {"lmms-eval": version("lmms-eval")},
            "hardware": hardware(),
            "git": git_state(ROOT),
        }
        write_recipe(path, json.loads(json.dumps(recipe, default=str)))
