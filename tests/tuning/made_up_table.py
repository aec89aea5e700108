"""Tables of traces, made up: the risk follows from the least confidence and the action."""

from pathlib import Path
from typing import Any

import numpy as np

from saccade.controller.learned.actions import Action, all_actions
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.tuning.risk_folds import (
    groups_of,
)
from saccade.tuning.trace_table import TraceTable

ACTIONS = all_actions((0.5, 0.25), [], (0.9,))


def made_up(folder: Path, pages: int = 40, signal: float = 12.0, rate: float = -3.0) -> Path:
    """A table in which the risk rises as confidence falls (or not, without a signal), more so for
    actions that keep less."""
    rng = np.random.default_rng(0)
    table = TraceTable(folder)
    geometry = dict.fromkeys(("n_layers", "hidden", "intermediate", "n_heads", "n_kv_heads"), 4)
    table.begin(
        {
            "model": "made-up",
            "backbone": {
                "origin": "from-scratch",
                "geometry": {**geometry, "vocab": 64},
                "hash": "0" * 64,
            },
            "actions": [[a.keep, list(a.skip), a.commit] for a in ACTIONS],
            "pruner": "uniform()",
            "features": list(FEATURES),
            "ladder": list(RUNGS),
        }
    )
    for page in range(pages):
        rows = []
        for step in (1, 4):
            features = dict(zip(FEATURES, rng.random(len(FEATURES)).tolist(), strict=True))
            for action in ACTIONS:
                sure = features["confidence_least"]
                odds = rate + signal * (0.5 - sure) + 4 * (1 - action.keep)
                changed = bool(rng.random() < 1 / (1 + np.exp(-odds)))
                own = {
                    "action_keep": action.keep,
                    "action_skipped": 0.0,
                    "action_commit": 1.1 if action.commit is None else action.commit,
                    "change_visual": None if step == 1 else 0.1,
                }
                rows.append(_row(page, step, action, features | own, changed))
        table.write("code", 0, page, rows)
    return folder


def _row(
    page: int, step: int, action: Action, features: dict[str, Any], changed: bool
) -> dict[str, Any]:
    saved = 0.9 * (1 - action.keep) + 0.05 * (action.commit is not None)
    return {
        **{"page": f"p{page}", "seed": 0, "step": step, "n_steps": 8, "action": action.name},
        **features,
        **{"changed": changed, "score": 1.0 - changed, "bare_score": 1.0, "score_change": -changed},
        **{"macs": 100, "bare_macs": 1000, "saved_macs": int(1000 * saved), "saved": saved},
    }


def arrays(folder: Path) -> tuple[Any, Any, Any]:
    frame = TraceTable(folder).read()
    rows = frame[list(FEATURES)].to_numpy(dtype=np.float64, na_value=np.nan)
    return rows, frame["changed"].to_numpy(), groups_of(frame["page"].tolist())
