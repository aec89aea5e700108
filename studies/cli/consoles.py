"""Where the command line writes: results to stdout, notes and errors to stderr."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

PIPE_WIDTH = 100
"""Columns where nobody's terminal says how many there are."""


def out() -> Console:
    """Console of results; tables keep their shape in a pipe or a log."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(width=PIPE_WIDTH)
    return console


def err() -> Console:
    """Console of notes, progress and errors."""
    return Console(stderr=True)


def note(text: str) -> None:
    """Say something apart from the results, on stderr."""
    err().print(f"[dim]note:[/] {escape(text)}", highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Say on stderr that something is wrong which does not stop the command."""
    line = escape(" ".join(text.split()))
    err().print(f"[yellow]warning:[/] {line}", highlight=False, soft_wrap=True)


def emit(content: Any) -> None:
    """Write one JSON value to stdout; NaN and infinities become null."""
    console = out()
    narrow = not console.encoding.lower().startswith("utf")
    text = json.dumps(_finite(content), indent=2, ensure_ascii=narrow, allow_nan=False)
    console.out(text, highlight=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Mapping():
            return {str(key): _finite(item) for key, item in value.items()}
        case Sequence() | set() | frozenset():
            return [_finite(item) for item in value]
    return str(value)


def scaled(number: float) -> str:
    """A count with a unit: 1234567 is "1.23 M"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:g}"
