"""Files of results as plain values, read without changing anything beside them."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError
from saccade.studies.runs.tune import CONFIG
from saccade.studies.tasks.json_lines import parse_line, read_lines
from saccade.tuning.storage import DATABASE

if TYPE_CHECKING:
    from optuna import Study

LARGEST = 64 * 2**20
"""Bytes of a file of results that is read whole."""
DEEP = (RecursionError, ValueError, OSError)


def json_file(path: Path) -> Any:
    """What a JSON file holds, or JSON lines as a list; None if it is none, too large, or none."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        if path.suffix == ".jsonl":
            return [parse_line(line) for _, line in read_lines(path)]
        return json.loads(path.read_text(encoding="utf-8"))
    except (*DEEP, StudyError):
        return None


def search_history(folder: Path) -> "Study":
    """The trials of a search's own database, in memory.

    A copy is opened, as a database writes beside itself even when it is only read.

    Raises
    ------
    StudyError
        If there is none in the folder.
    TuneError, ImportError
        If it is none of ours, or optuna is missing.
    """
    from saccade.studies.runs.tune_show import load_study_of
    from saccade.tuning.errors import optuna_module
    from saccade.tuning.storage import default_url
    from saccade.tuning.study import RECIPE

    if not (folder / DATABASE).is_file():
        raise StudyError(f"they are not in {DATABASE} beside its result")
    content = json_file(folder / CONFIG)
    name = content.get("study") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise StudyError(f"{CONFIG} does not say which study of {DATABASE} it is")
    optuna = optuna_module()
    with TemporaryDirectory() as aside:
        for file in folder.glob(f"{DATABASE}*"):
            shutil.copyfile(file, Path(aside) / file.name)
        found = load_study_of(default_url(Path(aside)), name)
        own: Study = optuna.create_study(directions=[d.name.lower() for d in found.directions])
        own.set_user_attr(RECIPE, found.user_attrs[RECIPE])
        ended = [trial for trial in found.get_trials() if trial.state.is_finished()]
        own.add_trials(ended)
    return own
