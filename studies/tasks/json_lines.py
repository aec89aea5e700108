"""JSON lines as files hold them: split at line feeds alone, in UTF-8, whatever the texts hold."""

import codecs
import json
from pathlib import Path
from typing import Any

from saccade.controller.errors import StudyError

_MARKS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def numbered_lines(data: bytes, name: str) -> list[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1.

    Lines end with a line feed, perhaps after a carriage return, and the last one may lack it.
    Other characters that `str.splitlines` splits at (U+2028, U+2029, U+0085, form feeds) belong to
    the texts. A byte-order mark of UTF-8 is passed over.

    Parameters
    ----------
    data : bytes
    name : str
        What errors call the file.

    Raises
    ------
    StudyError
        If the file is in UTF-16 or UTF-32.
    """
    for encoding, marks in _MARKS.items():  # UTF-32 first: its mark begins as that of UTF-16
        if data.startswith(marks):
            raise StudyError(f"{name} is in {encoding}; save it as UTF-8")
    if b"\0" in data[:4]:  # no text of JSON begins with one
        raise StudyError(f"{name} is in UTF-16 or UTF-32, or no text; save it as UTF-8")
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_lines(path: Path) -> list[tuple[int, bytes]]:
    """The `numbered_lines` of a file.

    Raises
    ------
    StudyError
        Also if the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}") from error
    return numbered_lines(data, str(path))


def parse_line(line: bytes) -> Any:
    """The value of one line; texts may hold control characters as they are.

    Raises
    ------
    ValueError
        If it is not JSON, or not UTF-8.
    """
    try:
        return json.loads(line.decode("utf-8"), strict=False)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deeply") from error
