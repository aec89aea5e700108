"""Which run a folder holds: an id that is made with the run, and goes with copies of its folder."""

import re
import uuid
from pathlib import Path

from saccade.studies.runs.files import replacing

IDENTITY = "run-id"
"""File with the id. It is none of the recipe's: two runs of one recipe are two runs."""


def identity_of(folder: Path) -> str | None:
    """The id of the run in a folder; None of runs from before they had one, or if it is damaged."""
    try:
        text = (folder / IDENTITY).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else None


def give_identity(folder: Path, *, new: bool) -> None:
    """Write an id where there is none, or for a run that begins.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if new or identity_of(folder) is None:
        with replacing(folder / IDENTITY) as partial:
            partial.write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
