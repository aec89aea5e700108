"""Looking at a search, finished or not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.studies.runs.tune import read_run
from saccade.tuning.errors import TuneError, optuna_module, storage_errors
from saccade.tuning.goal import Goal
from saccade.tuning.result import all_tried, front
from saccade.tuning.storage import open_storage, shown
from saccade.tuning.study import finished, recipe_of

if TYPE_CHECKING:
    from optuna import Study


def open_existing(folder: Path) -> "Study":
    """The study of a run's folder; errors as `open_study`."""
    _, url, name = read_run(folder)
    return load_study_of(url, name)


def load_study_of(url: str, name: str) -> "Study":
    """A study that is there.

    Raises
    ------
    TuneError
        If the storage has none of this name, naming those that it has, or it is none of ours.
    """
    optuna = optuna_module()
    storage = open_storage(url, begin=False)
    with storage_errors(shown(url)):
        names = optuna.get_all_study_names(storage)
        if name not in names:
            from saccade.controller.names import unknown_name

            raise TuneError(unknown_name("study", name, names))
        study: Study = optuna.load_study(study_name=name, storage=storage)
        if recipe_of(study) is None:
            raise TuneError(f"the study {name!r} is none of saccade tune")
    return study


def goal_of(study: "Study") -> Goal:
    """What a study is for; a `TuneError` if it is of another version."""
    try:
        return Goal(**(recipe_of(study) or {})["goal"])
    except (KeyError, TypeError, ValueError) as error:
        raise TuneError(
            f"the study {study.study_name!r} is none of this version of saccade tune: {error}"
        ) from None


def shown_front(folder: Path | None, url: str | None, name: str | None) -> dict[str, Any]:
    """The front of a search in plain values; from its folder, or from a storage."""
    if folder is not None:
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder of a search at {folder}")
        _, url, name = read_run(folder)
    assert url is not None and name is not None
    study = load_study_of(url, name)
    with storage_errors(shown(url)):
        goal = goal_of(study)
        rows = [one.plain() for one in front(all_tried(study, goal))]
        return {"study": name, "trials": finished(study), "goal": goal.plain(), "front": rows}
