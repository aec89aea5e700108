"""Values in one line: what a `repr` says of tensors, functions and what else would fill a page."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import FunctionType
from typing import Any

LONGEST = 80
"""Letters of a value that is written out."""


def one_line(value: object) -> str:
    """A value's `repr`, short and without line ends: of arrays only type and shape, of functions
    only the name, no addresses."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = str(value.dtype).removeprefix("torch.")
        return f"<{kind} {type(value).__name__.lower()} {tuple(value.shape)}>"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {one_line(own)}' for key, own in value.items())}}}"
    if isinstance(value, FunctionType | type):
        return f"<{value.__qualname__}>"
    if isinstance(value, functools.partial):
        return one_line(value.func)
    return shortened(repr(value)) if prints_itself(value) else f"<{type(value).__name__}>"


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text in one line, with dots for what is too much."""
    line = " ".join(text.split()) if len(text.splitlines()) > 1 else text
    return line if len(line) <= longest else f"{line[:longest]}..."


def prints_itself(value: object) -> bool:
    """Whether its class says how it is written, and not only where it lies."""
    return type(value).__repr__ is not object.__repr__


def fields_in_line(own: Any, each: Callable[[object], str] = one_line) -> str:
    """The `repr` of a dataclass, with the fields that are not None."""
    given = [(field.name, getattr(own, field.name)) for field in fields(own) if field.repr]
    parts = (f"{name}={each(value)}" for name, value in given if value is not None)
    return f"{type(own).__name__}({', '.join(parts)})"
