"""What the plug-in has answered, line by line: figures of every answer, and where to go on.

lmms-eval keeps no figures of single answers, and its own cache stores answers only when all of a
process are there; what a killed process had answered would be asked again.
"""

import json
import os
from pathlib import Path
from typing import Any

from saccade.studies.tasks.json_lines import numbered_lines, parse_line

Line = dict[str, Any]
PATTERN = "answers-*.jsonl"


class AnswerLog:
    """The answers of one recipe in a folder; each process appends to a file of its own.

    Parameters
    ----------
    folder : Path
        Made if there is none.
    rank : int
        Of this process.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._known = {line["key"]: line for line in read_answers(folder)}
        self._file = (folder / f"answers-{rank:03}.jsonl").open("ab")
        if self._file.tell() and not _ends(folder / f"answers-{rank:03}.jsonl"):
            self._file.write(b"\n")  # after a line that was cut off

    def get(self, key: str) -> Line | None:
        """The answer of that key, if there is one."""
        return self._known.get(key)

    def append(self, line: Line) -> None:
        """Keep an answer; it is on disk when this returns."""
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._known[line["key"]] = line


def read_answers(folder: Path) -> list[Line]:
    """All answers of a folder, of each key the last; a line that was cut off is left out."""
    found: dict[str, Line] = {}
    for path in sorted(folder.glob(PATTERN)):
        for _, text in numbered_lines(path.read_bytes(), path.name):
            try:
                line = parse_line(text)
                found[line["key"]] = line
            except (ValueError, TypeError, KeyError):
                continue  # cut off when its process was killed
    return list(found.values())


def _ends(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
