"""Building blocks of a preset's file: frozen models that take known keys of sane sizes alone."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MOST, LONGEST = 5, 80
"""Faults that an error tells of, and letters that it shows of a value."""


class Frozen(BaseModel):
    """A part of a preset: immutable, typed strictly, finite numbers, no unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
    )


CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""What moves a terminal's cursor, ends its lines or turns its direction; these texts are shown."""
Text = Annotated[str, StringConstraints(max_length=4000, pattern=f"^[^{CONTROLS}]*$")]
Short = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^\t\n{CONTROLS}]*$")
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_\-]*(\.[A-Za-z0-9_\-]+)*$"),
]
"""A plain name of a file beside the preset: no folder, no dots at its ends, no tricks."""
Count = Annotated[int, Field(ge=0, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1e6)]


def problems(error: ValidationError) -> str:
    """Where a file is wrong, and how, in one line."""
    found = error.errors(include_url=False, include_context=False)
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    told = [_problem(one["loc"], one["msg"], one["input"]) for one in found[:MOST]]
    return "; ".join([*told, *more])


def _problem(place: tuple[int | str, ...], what: str, given: object) -> str:
    where = ".".join(map(_shown, place))
    what = " ".join(what.removeprefix("Value error, ").split())
    if not place or isinstance(given, dict | list | tuple):
        return f"{where}: {what}" if place else what
    return f"{where}={_shown(repr(given))}: {what}"


def _shown(value: object) -> str:
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
