"""The model of a run, where it is at hand and still the same; nothing is fetched."""

from pathlib import Path

import torch

from saccade.backbones.checkpoints.checkpoint import shard_files
from saccade.backbones.checkpoints.hub import PATTERNS
from saccade.backbones.loading import load, resolve
from saccade.backbones.model import Model
from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.runs.recipe import Recipe, file_hashes

LARGEST = 6 * 10**9
"""Bytes of weights that are loaded without a GPU."""


def recorded_model(name: str, recipe: Recipe) -> Model:
    """Load the model that a run was made with, in its number format.

    Raises
    ------
    StudyError
        Saying why not: it is not at hand, too large for this machine, another by the hashes of its
        files, or damaged.
    """
    folder = _folder(name)
    recorded = recipe.get("model_files")
    if not recorded:
        raise StudyError("the recipe does not say which files the model had")
    try:
        size = sum(path.stat().st_size for path in shard_files(folder))
        if size > LARGEST and not torch.cuda.is_available():
            raise StudyError(f"{name} ({size / 1e9:.0f} GB) is too large for this machine")
        found = file_hashes(folder)
        other = sorted(k for k in {*found, *recorded} if found.get(k) != recorded.get(k))
        if other:
            raise StudyError(f"{name} is another model now: {', '.join(other)} differ")
        return load(folder, dtype=recipe["backbone"].get("dtype"))
    except (SaccadeError, OSError, ValueError, TypeError, KeyError) as error:
        raise StudyError(str(error)) from error


def _folder(name: str) -> Path:
    """Where a checkpoint lies on this machine."""
    if name.startswith("embedded/") or Path(name).is_dir():
        return resolve(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=PATTERNS, local_files_only=True))
    except (OSError, ValueError) as error:
        raise StudyError(f"the model {name} is not on this machine") from error
