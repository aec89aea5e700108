"""The folder of a study of several models: each has a run of its own in it."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from saccade.controller.errors import StudyError
from saccade.studies.config.cases import model_slug
from saccade.studies.config.study import StudyConfig
from saccade.studies.runs.files import replacing
from saccade.studies.runs.records import RECIPE, reason

MODELS = "models.json"
_NAMES = TypeAdapter(list[str])


def write_models(folder: Path, config: StudyConfig) -> None:
    """Say in ``models.json`` which models a study has, whose runs lie in the folders next to it.

    Raises
    ------
    StudyError
        If the folder cannot be written, or holds a run of one model, or of one that the study does
        not have.
    """
    if (folder / RECIPE).exists():
        raise StudyError(f"{folder} holds a run of one model; give another --out")
    foreign = [name for name in _begun(folder) if name not in config.models]
    if foreign:
        raise StudyError(
            f"{folder} also holds a run of {foreign[0]}, which is not one of the study's models; "
            "give another --out"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / MODELS) as partial:
            partial.write_text(json.dumps(list(config.models)) + "\n", encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {reason(error)}") from error


def run_folders(folder: str | Path) -> list[Path]:
    """Folders of the runs of a study: its own, or one for each of several models that has begun.

    Raises
    ------
    StudyError
        If ``models.json`` is damaged, or no model has begun.
    """
    folder = Path(folder)
    if not (folder / MODELS).exists():
        return [folder]
    begun = _begun(folder)
    if not begun:
        raise StudyError(f"no run in {folder}: none of its models has begun")
    return [folder / model_slug(name) for name in begun]


def waiting_models(folder: str | Path) -> list[str]:
    """Models of a study that have not begun; errors are those of `run_folders`."""
    folder = Path(folder)
    begun = _begun(folder)
    return [name for name in _models(folder) if name not in begun]


def _begun(folder: Path) -> list[str]:
    """Those of a folder's models that have a run in it."""
    names = _models(folder)
    return [name for name in names if (folder / model_slug(name) / RECIPE).exists()]


def _models(folder: Path) -> list[str]:
    try:
        return _NAMES.validate_json((folder / MODELS).read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise StudyError(f"{folder / MODELS} is damaged: {error}") from error
