"""From a search to runs: one a trial, and one about all of them with the preset that it made."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import SaccadeError
from saccade.controller.preset_names import find_preset
from saccade.studies.reports.compare.plain_files import json_file
from saccade.studies.reports.tune_page import importances
from saccade.studies.runs.tune import CONFIG, PRESET, RESULT
from saccade.studies.runs.tune_trials import TRIALS, trials_text
from saccade.studies.tracking.from_study import run_id
from saccade.studies.tracking.scatter import front_figure
from saccade.studies.tracking.sink import Artifact, Cell, Grid, Series, TrackedRun
from saccade.studies.tracking.study_files import preset_artifact
from saccade.tuning.goal import Goal
from saccade.tuning.result import Tried, all_tried, front, hypervolume
from saccade.tuning.study import NAME, recipe_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

MEASURED = ("score", "bare", "cost", "changed")
TRIED = ("number", "name", "policy", "pruner", "score", "bare", "cost", "ideal", "changed")
FRONT = (
    *TRIED,
    *("feasible", "test_score", "test_relative", "test_ideal", "test_changed"),
    *("measured", "measured_low", "measured_high", "projected"),
)


def tune_runs(
    result: Mapping[str, Any], study: "Study", goal: Goal, folder: Path
) -> Iterator[TrackedRun]:
    """Runs of a search whose result is written.

    Parameters
    ----------
    result : mapping
        What `saccade.studies.runs.tune.run_tuning` gives.
    study : optuna Study
    goal : Goal
    folder : Path
        Of the results, with the preset.
    """
    group = f"tune-{result['name']}"
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished():
            yield _trial_run(trial, study, result, group)
    yield _search_run(result, study, goal, folder, group)


def _search_id(study: "Study") -> list[Any]:
    """What tells a search from another one of the same recipe: when it began."""
    began = [str(t.datetime_start) for t in study.get_trials(deepcopy=False) if t.datetime_start]
    return [study.study_name, recipe_of(study), min(began, default="")]


def _trial_run(
    trial: "FrozenTrial", study: "Study", result: Mapping[str, Any], group: str
) -> TrackedRun:
    own = trial.user_attrs
    name = own.get(NAME) or ""
    figures = {key: own[key] for key in MEASURED if isinstance(own.get(key), int | float)}
    if figures.get("cost"):
        figures["ideal"] = 1 / figures["cost"]
    if trial.duration is not None:
        figures["seconds"] = trial.duration.total_seconds()
    shown = sorted(trial.intermediate_values.items())
    points = tuple((place, {"cost by sample": value}) for place, value in shown)
    return TrackedRun(
        id=run_id("trial", *_search_id(study), trial.number),
        name=f"trial {trial.number}{f', {name}' if name else ''}",
        group=group,
        kind="trial",
        config={
            "study": result["name"],
            "model": result["model"],
            "task": result["task"],
            "trial": trial.number,
            "name": name,
            "policy": own.get("policy"),
            "pruner": own.get("pruner"),
            # Trackers read dots in names as paths.
            "parameters": {name.replace(".", "-"): v for name, v in trial.params.items()},
        },
        summary=figures | {"state": trial.state.name.lower()},
        series={"sample": Series("sample", points)} if points else {},
    )


def _search_run(
    result: Mapping[str, Any], study: "Study", goal: Goal, folder: Path, group: str
) -> TrackedRun:
    tried = all_tried(study, goal)
    weights = importances(study, goal)
    tables = {
        "front": _grid(FRONT, result["front"]),
        "trials": _grid(TRIED, [one.plain() for one in tried]),
    }
    if weights:
        tables["importances"] = Grid(("parameter", "importance"), tuple(weights.items()))
    chosen = result["chosen"]
    return TrackedRun(
        id=run_id("search", *_search_id(study)),
        name=group,
        group=group,
        kind="search",
        config={
            "study": result["name"],
            "model": result["model"],
            "task": result["task"],
            "max_drop": result["max_drop"],
            "objective": result["objective"],
            "recipe": recipe_of(study),
        },
        summary=_figures(result, chosen),
        series={"trials": _history(tried)},
        tables=tables,
        figures={"front": _front_figure(tried)},
        makes=dict(_artifacts(result, study, folder)),
    )


def _figures(result: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    own = {f"chosen/{key}": value for key, value in chosen.items() if _is_plain(value)}
    return own | {
        "trials": result["trials"],
        "seconds": result["seconds"],
        "bare_score": result["bare_score"],
        "sentence": result["sentence"],
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _grid(columns: tuple[str, ...], rows: Any) -> Grid:
    def cell(value: Any) -> Cell:
        return value if value is None or _is_plain(value) else str(value)

    return Grid(columns, tuple(tuple(cell(row.get(name)) for name in columns) for row in rows))


def _history(tried: list[Tried]) -> Series:
    """The cheapest that is allowed, and the area that is dominated, trial by trial."""
    points = []
    for place, one in enumerate(tried):
        allowed = [t.cost for t in tried[: place + 1] if t.feasible]
        values = {"cost": one.cost, "score": one.score, "area": hypervolume(tried[: place + 1])}
        points.append((one.number, values | ({"best cost": min(allowed)} if allowed else {})))
    return Series("trial", tuple(points))


def _front_figure(tried: list[Tried]) -> str:
    points = [(1 / one.cost, one.score, str(one.setting)) for one in tried]
    best = sorted((1 / one.cost, one.score) for one in front(tried))
    return front_figure(points, best, "times less work than the unpruned model", "score")


def _artifacts(
    result: Mapping[str, Any], study: "Study", folder: Path
) -> Iterator[tuple[str, Artifact]]:
    """The preset, and a folder that ``saccade report`` reads."""
    files = dict(_files(result, study, folder))
    if PRESET in files:
        try:
            found = find_preset(folder / PRESET)
            yield f"preset-{found.preset.name}", preset_artifact(found)
        except (SaccadeError, OSError):
            pass
    if RESULT in files:
        yield f"{result['name']}-search", Artifact("search", files)


def _files(result: Mapping[str, Any], study: "Study", folder: Path) -> Iterator[tuple[str, bytes]]:
    """Result, configuration, trials and preset; not where the trials are stored, which may be an
    address with a password."""
    for name in (RESULT, PRESET):
        if (folder / name).is_file():
            yield name, (folder / name).read_bytes()
    config = json_file(folder / CONFIG)
    if isinstance(config, dict):
        shown = {key: config[key] for key in ("config", "study") if key in config}
        yield CONFIG, json.dumps(shown, indent=2).encode() + b"\n"
    yield TRIALS, trials_text(study).encode()
