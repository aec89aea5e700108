"""Finds sets of recorded numbers, so that tests run on any set of the same format.

``SACCADE_GOLDENS`` names another root: a folder of sets (``<root>/llada_v``), or one set's folder.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

Arrays = dict[str, npt.NDArray[Any]]

SIGNS = {
    "llada_v": ("generate.json", "multimodal.json", "preprocess_real.json"),
    "pruners": ("divprune*.npz", "fastv*.npz"),
}
"""Files, any of which shows that a folder IS the set of that name."""


def golden_root() -> Path:
    """Where the sets lie: ``SACCADE_GOLDENS`` or ``tests/goldens``."""
    given = os.environ.get("SACCADE_GOLDENS")
    return Path(given).resolve() if given else Path(__file__).parent / "goldens"


def golden_set(name: str) -> Path | None:
    """Folder of the set `name`: below the root, or the root itself if it holds that set's files."""
    root = golden_root()
    if (root / name).is_dir():
        return root / name
    signs = SIGNS.get(name, ("generate.json", "*.npz"))
    return root if any(True for sign in signs for _ in root.glob(sign)) else None


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


def _path(name: str, file: str) -> Path | None:
    folder = golden_set(name)
    return folder / file if folder is not None and (folder / file).is_file() else None
