"""Files of results as plain values, read without changing anything beside them."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError
from saccade.studies.runs.tune import CONFIG
from saccade.studies.runs.tune_trials import TRIALS, in_memory, study_of_trials
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
    """The trials of a search's own database, or of a file of trials, in memory.

    A copy is opened, as a database writes beside itself even when it is only read. Name and numbers
    are kept.

    Raises
    ------
    StudyError
        If there is neither in the folder, or the file is damaged.
    TuneError, ImportError
        If the database is none of ours, or optuna is missing.
    """
    from saccade.studies.runs.tune_show import load_study_of
    from saccade.tuning.storage import default_url

    if not (folder / DATABASE).is_file():
        if (folder / TRIALS).is_file():
            return study_of_trials(json_file(folder / TRIALS), str(folder / TRIALS))
        raise StudyError(f"they are not in {DATABASE} beside its result")
    content = json_file(folder / CONFIG)
    name = content.get("study") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise StudyError(f"{CONFIG} does not say which study of {DATABASE} it is")
    with TemporaryDirectory() as aside:
        for file in folder.glob(f"{DATABASE}*"):
            shutil.copyfile(file, Path(aside) / file.name)
        return in_memory(load_study_of(default_url(Path(aside)), name))
