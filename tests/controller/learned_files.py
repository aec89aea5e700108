"""Files of learned models, made up: random trees or a line, for the backbone of `check_policy`."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from saccade.controller.learned.actions import Action, all_actions
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.controller.learned.stored import write_learned
from saccade.controller.policy_checks import MADE_UP
from saccade.controller.types import BackboneSpec

ACTIONS = all_actions((0.5, 0.25), [(1, 2)], (0.9,))


def random_trees(seed: int, trees: int = 60, depth: int = 3) -> dict[str, Any]:
    """Trees that look at any feature; some of their nodes end early."""
    rng = np.random.default_rng(seed)
    nodes = 2**depth - 1
    return {
        "feature": rng.integers(-1, len(FEATURES), (trees, nodes)).tolist(),
        "threshold": rng.random((trees, nodes)).round(3).tolist(),
        "leaf": rng.normal(0.0, 0.3, (trees, nodes + 1)).tolist(),
        "base": -1.0,
    }


def line(**weights: float) -> dict[str, Any]:
    """A line of these weights, by feature."""
    return {"weights": [weights.get(name, 0.0) for name in FEATURES], "base": 0.0}


def content(
    spec: BackboneSpec = MADE_UP,
    actions: Sequence[Action] = ACTIONS,
    pruner: str | None = "redvtp(rows='all')",
    seed: int = 0,
    **changes: Any,
) -> dict[str, Any]:
    """What a file says, without its hash; random trees if nothing else is given."""
    form = {} if "line" in changes else {"trees": random_trees(seed)}
    saved = [0.5 * (1 - a.keep) + 0.1 * len(a.skip) + 0.2 * bool(a.commit) for a in actions]
    return {
        "schema": 1,
        "kind": "boosting",
        "features": list(FEATURES),
        "ladder": list(RUNGS),
        "actions": [
            {"keep": a.keep, "skip": list(a.skip), "commit": a.commit, "saved": s}
            for a, s in zip(actions, saved, strict=True)
        ],
        "pruner": pruner,
        "backbone": {
            "name": spec.name,
            "origin": spec.origin,
            "geometry": asdict(spec.geometry),
            "hash": "0" * 64,
        },
        "data": {"hash": "0" * 64, "rows": 9, "pages": 3, "changed": 0.5, "tasks": ["code"]},
        "quality": {"log_loss": 0.3, "constant": 0.6, "better": True},
        "fill": [0.5] * len(FEATURES),
        "slope": 1.0,
        "shift": 0.0,
        "versions": {"saccade": "0"},
        **form,
        **changes,
    }


@functools.cache
def shared_file() -> str:
    """A file for the tables of tests, which goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="saccade-learned-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(write_learned(folder / "learned.json", content()))
