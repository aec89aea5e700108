"""Options of `generate` as typed on the command line: ``--set OPTION=VALUE``."""

from collections.abc import Sequence
from typing import Any


def options_from(given: Sequence[str]) -> dict[str, Any]:
    """Options typed one by one as ``key=value``.

    Raises
    ------
    ValueError
        For what is not ``key=value``, or a key that is given twice.
    """
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = (piece.strip() for piece in text.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set {text!r} is not OPTION=VALUE, such as alg=entropy")
        if key in values:
            raise ValueError(f"--set gives {key} twice")
        values[key] = _guess(value)
    return values


def _guess(text: str) -> Any:
    """What a typed value means."""
    plain = {"none": None, "true": True, "false": False}
    if text.lower() in plain:
        return plain[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
