"""Files that are always whole, whatever goes wrong; folders that one process has at a time."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saccade.controller.errors import StudyError

PARTIAL = ".partial"
"""Ending of what is being written."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a place to write in; what stands there at the end of the block becomes `path`.

    If the block raises, what was at `path` before stays as it was.

    Yields
    ------
    Path
        Beside `path`, so that taking its place is one step.
    """
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def lock_folder(file: int, folder: Path) -> None:
    """Take a folder for this process by one open file in it, until that is closed.

    The system lets go of it however the process ends.

    Raises
    ------
    StudyError
        If another process has it.
    """
    if sys.platform == "win32":  # no flock: two writers are not told apart there
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StudyError(
            f"another process is writing to {folder}; wait for it, or give another --out"
        ) from error
