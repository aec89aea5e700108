"""Learning schedules: models of risk judged on pages that they never saw, and one of them kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.controller.arguments import check_int
from saccade.controller.errors import StudyError
from saccade.controller.learned.actions import Action
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.controller.learned.risk import RiskModel
from saccade.controller.learned.stored import write_learned
from saccade.controller.names import not_allowed
from saccade.tuning.learned_report import Judged, LearnReport, judge, timed
from saccade.tuning.risk_fits import KINDS, Bools, Floats, Ints, stored_form
from saccade.tuning.risk_folds import calibrated, folds, groups_of
from saccade.tuning.trace_table import TraceTable

if TYPE_CHECKING:
    import pandas as pd

OUTER = 5
"""Folds by which models are judged."""
MODEL, REPORT = "learned.json", "report.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A table as arrays, M rows.

    Attributes
    ----------
    frame : DataFrame
        All of it.
    features : float64 array (M, F)
    changed : bool array (M,)
    groups : int64 array (M,)
        Numbers of pages.
    action : int64 array (M,)
        Numbers of actions.
    actions : tuple of Action
    """

    frame: "pd.DataFrame"
    features: Floats
    changed: Bools
    groups: Ints
    action: Ints
    actions: tuple[Action, ...]

    @classmethod
    def of(cls, frame: "pd.DataFrame", recipe: Mapping[str, Any]) -> "Rows":
        """Of a table and its recipe.

        Raises
        ------
        StudyError
            If they do not belong together, or features are those of another version.
        """
        if recipe.get("features") != list(FEATURES) or recipe.get("ladder") != list(RUNGS):
            raise StudyError(
                "the table's features or ladder are those of another version; collect again"
            )
        try:
            actions = tuple(Action(k, tuple(s), c) for k, s, c in recipe["actions"])
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"the table's recipe is damaged: actions {error}") from error
        numbers = {action.name: i for i, action in enumerate(actions)}
        unknown = sorted(set(frame["action"]) - numbers.keys())
        if unknown:
            raise StudyError(f"the table has the action {unknown[0]!r}, its recipe has not")
        return cls(
            frame,
            frame[list(FEATURES)].to_numpy(dtype=np.float64, na_value=np.nan),
            frame["changed"].to_numpy(dtype=bool),
            groups_of([str(page) for page in frame["page"]]),
            np.array([numbers[name] for name in frame["action"]], dtype=np.int64),
            actions,
        )

    @property
    def pages(self) -> int:
        """How many there are."""
        return len(np.unique(self.groups))

    def pages_where(self, own: Bools) -> int:
        """How many have such a row, (M,)."""
        return len(np.unique(self.groups[own]))

    @property
    def saved(self) -> Floats:
        """Share of the work still to do that each action saved, on average; 0 if never tried."""
        values = self.frame["saved"].to_numpy(dtype=np.float64)
        found = [values[self.action == i] for i in range(len(self.actions))]
        return np.array([float(own.mean()) if len(own) else 0.0 for own in found])


def learn(
    folder: str | Path,
    out: str | Path,
    *,
    kind: str = "boosting",
    seed: int = 0,
    progress: Progress | None = None,
) -> LearnReport:
    """Learn a model of risk from a table, judge it, and write both.

    Parameters
    ----------
    folder : str or Path
        Of the table.
    out : str or Path
        Folder for ``learned.json`` and ``report.json``.
    kind : str
        Which of the models is kept; all are judged.
    seed : int
    progress : callable, optional
        ``progress(done, total)``, in fits.

    Returns
    -------
    LearnReport

    Raises
    ------
    StudyError
        If there is no such table, or it cannot be used.
    ValueError
        For another kind, or a table of fewer than two pages.
    """
    if kind not in KINDS:
        raise ValueError(not_allowed("model", kind, KINDS))
    check_int("seed", seed)
    table = TraceTable(folder)
    recipe, frame = table.recipe, table.read()
    rows = Rows.of(frame, recipe)
    if rows.pages < 2:
        raise ValueError(
            f"{folder} has the rows of one page; models are judged on pages that they did not "
            "see: collect more samples"
        )
    judged = _judged(rows, seed, progress)
    report = judge(rows, judged, kind, seed)
    model = calibrated(kind, rows.features, rows.changed, rows.groups, seed)
    report = replace(report, milliseconds=timed(model, rows))
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    file = write_learned(target / MODEL, _content(rows, recipe, report, model, kind))
    report.write(target / REPORT, file)
    return report


def _judged(rows: Rows, seed: int, progress: Progress | None) -> Judged:
    """Risks of all kinds on pages that each fold's models did not see."""
    n, done = min(OUTER, rows.pages), 0
    risks = {kind: np.zeros(len(rows.changed)) for kind in KINDS}
    models: dict[str, list[tuple[Bools, RiskModel]]] = {kind: [] for kind in KINDS}
    by_action, actions = np.zeros(len(rows.changed)), _actions_alone(rows)
    for learned, judged in folds(rows.groups, n, seed):
        alone = calibrated(
            "boosting", actions[learned], rows.changed[learned], rows.groups[learned], seed
        )
        by_action[judged] = alone.risks(actions[judged])
        for kind in KINDS:
            own = calibrated(
                kind, rows.features[learned], rows.changed[learned], rows.groups[learned], seed
            )
            risks[kind][judged] = own.risks(rows.features[judged])
            models[kind].append((judged, own))
            done += 1
            if progress is not None:
                progress(done, n * len(KINDS))
    return Judged(risks, by_action, models, n)


def _actions_alone(rows: Rows) -> Floats:
    """The features (M, F) of which nothing but the action is known: no signal, and no step."""
    known = np.isin(FEATURES, ("action_keep", "action_skipped", "action_commit"))
    return np.where(known, rows.features, np.nan)


def _content(
    rows: Rows, recipe: Mapping[str, Any], report: LearnReport, model: RiskModel, kind: str
) -> dict[str, Any]:
    """What the file of the model says."""
    import sklearn

    from saccade import __version__

    saved = rows.saved.tolist()
    return {
        "schema": 1,
        "kind": kind,
        "features": list(FEATURES),
        "ladder": list(RUNGS),
        "actions": [
            {"keep": a.keep, "skip": list(a.skip), "commit": a.commit, "saved": max(-100.0, s)}
            for a, s in zip(rows.actions, saved, strict=True)
        ],
        "pruner": recipe["pruner"],
        "backbone": {"name": str(recipe["model"])[-200:], **recipe["backbone"]},
        "data": {
            "hash": hashlib.sha256(rows.frame.to_csv(index=False).encode()).hexdigest(),
            "rows": len(rows.changed),
            "pages": rows.pages,
            "changed": float(rows.changed.mean()),
            "tasks": sorted(set(rows.frame["task"])),
        },
        "quality": {
            "log_loss": report.losses[kind],
            "constant": report.baseline,
            "better": report.better,
        },
        "versions": {
            "saccade": __version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        **stored_form(model),
    }
