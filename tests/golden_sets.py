"""Finds sets of recorded numbers, so that tests run on any set of the same format.

``SACCADE_GOLDENS`` names another root: a folder of sets (``<root>/llada_v``), or one set's folder.
A set that is asked for by that variable must be there; without it, missing sets are skipped.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

Arrays = dict[str, npt.NDArray[Any]]

SIGNS = {
    "llada_v": ("generate.json", "multimodal.json", "preprocess_real.json"),
    "lavida_dream": ("generate_meta.json", "schedules.json", "preprocess_meta.json"),
    "pruners": ("divprune*.npz", "fastv*.npz"),
}
"""Files, any of which shows that a folder IS the set of that name."""

FILES = {
    "llada_v": (
        "checkpoint/config.json",
        "checkpoint/vision_config.json",
        "checkpoint/model.safetensors",
        "multimodal.json",
        "multimodal.safetensors",
        "forward.safetensors",
        "generate.json",
        "generate.safetensors",
        "images_tiny.npz",
        "video_tiny.npz",
        "preprocess_real.json",
        "preprocess_real.safetensors",
        "images_real.npz",
        "prompts.json",
    ),
    "lavida_dream": (
        "config.json",
        "model.safetensors",
        "siglip-tiny/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer/tokenizer_config.json",
        "text_forward.npz",
        "mm_forward.npz",
        "generate.npz",
        "generate_meta.json",
        "schedules.json",
        "preprocess.npz",
        "preprocess_meta.json",
        "merge_maps.npz",
        "prompts.json",
    ),
}
"""Files that a whole set of that name has."""


def golden_root() -> Path:
    """Where the sets lie: ``SACCADE_GOLDENS`` or ``tests/goldens``.

    Raises
    ------
    FileNotFoundError
        If the variable names something that is no folder, or one without any known set.
    """
    given = os.environ.get("SACCADE_GOLDENS")
    if not given:
        return Path(__file__).parent / "goldens"
    root = Path(given).resolve()
    if not any(_is_set(folder, name) for name in SIGNS for folder in (root / name, root)):
        raise FileNotFoundError(
            f"SACCADE_GOLDENS={given}: no golden set there; give a folder that holds one of "
            f"{', '.join(SIGNS)}, or such a set's folder"
        )
    return root


def golden_set(name: str) -> Path | None:
    """Folder of the set `name`: below the root, or the root itself if it holds that set's files."""
    root = golden_root()
    return next((folder for folder in (root / name, root) if _is_set(folder, name)), None)


def _is_set(folder: Path, name: str) -> bool:
    return any(True for sign in SIGNS[name] for _ in folder.glob(sign))


def golden_json(name: str, file: str) -> dict[str, Any]:
    """Content of a JSON file of the set; empty if the set or the file is missing."""
    path = _path(name, file)
    return dict(json.loads(path.read_text())) if path else {}


def golden_arrays(name: str, file: str) -> Arrays:
    """Arrays of a .npz or .safetensors file of the set; empty if the set or the file is missing."""
    path = _path(name, file)
    if path is None:
        return {}
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    with np.load(path) as arrays:
        return dict(arrays)


def golden_params(name: str, cases: Iterable[Any]) -> list[Any]:
    """Parameters for ``pytest.mark.parametrize``; if there is none, a skipped one that says why."""
    found = list(cases)
    if found:
        return found
    if golden_set(name) is None:
        reason = f"no golden set {name!r} in {golden_root()} (SACCADE_GOLDENS names another root)"
    else:
        reason = f"the golden set {golden_set(name)} has no such case"
    return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="missing")]


def assert_near(given: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Equal but for `tolerance`, in proportion to the root mean square where that is above 1."""
    scale = max(1.0, float(wanted.square().mean().sqrt()))
    torch.testing.assert_close(given, wanted, atol=tolerance * scale, rtol=1e-4)


def _path(name: str, file: str) -> Path | None:
    folder = golden_set(name)
    return folder / file if folder is not None and (folder / file).is_file() else None


def draws_as_recorded() -> bool:
    """Whether this torch draws from a seed what the one that recorded the runs drew."""
    drawn = torch.empty(1).exponential_(generator=torch.Generator().manual_seed(1234))
    return abs(float(drawn) - 0.2637) < 1e-3
