"""Presets on disk: read within bounds and within their folder, written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saccade.controller.errors import PresetError

FILE = "preset.json"
"""What a folder's preset is called."""
FRONT = "front"
"""Folder beside it with the other settings of its front, each a preset of its own."""
LARGEST = 256 * 1024
"""Bytes of a preset's file."""
LARGEST_LEARNED = 64 * 2**20
"""Bytes of a learned model beside it."""
DEEPEST = 12
"""Objects and lists inside each other."""


def read_object(path: Path, most: int = LARGEST) -> tuple[dict[str, Any], Path]:
    """The JSON object of a preset's file, or of a folder's, and the file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    PresetError
        If it is too large, no regular file, not JSON, nested too deep, or says a key twice.
    """
    try:
        file = inside(path, FILE) if path.is_dir() else path
    except (OSError, ValueError) as error:  # a name that no file can have
        raise PresetError(f"{path} cannot be read: {error}") from error
    text = read_bounded(file, most)
    try:
        content = json.loads(text, parse_constant=_refuse_number, object_pairs_hook=_once)
    except RecursionError:
        raise PresetError(f"{file} is nested deeper than {DEEPEST}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise PresetError(f"{file} is not a preset's JSON: {error}") from error
    if not isinstance(content, dict):
        raise PresetError(f"{file} must hold a JSON object")
    if _deeper(content, DEEPEST):
        raise PresetError(f"{file} is nested deeper than {DEEPEST}")
    return content, file


def read_bounded(file: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes; errors as `read_object`."""
    try:
        if not file.exists():
            raise FileNotFoundError(
                f"no preset at {file}; saccade presets list shows those there are"
            )
        if not file.is_file():
            raise PresetError(f"{file} is not a regular file")
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # no right to read it, or a name that no file can have
        raise PresetError(f"{file} cannot be read: {error}") from error
    if len(data) > most:
        raise PresetError(f"{file} has more than {most} bytes; that is no preset")
    return data


def inside(folder: Path, name: str, root: Path | None = None) -> Path:
    """A file of a folder; it may not lead out of it, or of `root` where links are a cache's own.

    Raises
    ------
    PresetError
        If it does.
    """
    found, bounds = folder / name, (folder if root is None else root).resolve()
    if name != Path(name).name or name in ("", ".", ".."):
        raise PresetError(f"{name!r} is not the plain name of a file beside the preset")
    try:
        target = found.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise PresetError(f"{found} leads nowhere: {error}") from error
    if not target.is_relative_to(bounds):
        raise PresetError(f"{found} leads out of {bounds}; a preset stays in its folder")
    return found


def write_text(path: Path, text: str) -> Path:
    """Write a file that appears whole or not at all, and return it; a folder gets `FILE`."""
    file = path / FILE if path.is_dir() else path
    with _aside(file, text.encode()) as name:
        os.replace(name, file)
    return file


def write_first(file: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all, unless it is there: of several processes that
    do so at once, one has its way."""
    if file.exists():
        return
    with _aside(file, data) as name:
        try:
            os.link(name, file)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not file.exists():
                os.replace(name, file)


@contextmanager
def _aside(file: Path, data: bytes) -> Iterator[str]:
    """The name of a file beside another one with this content, which is gone afterwards."""
    handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def _refuse_number(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _deeper(content: Any, levels: int) -> bool:
    """Whether containers lie inside each other more than `levels` deep."""
    layer = [content]
    for _ in range(levels):
        layer = [
            inner
            for one in layer
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True
