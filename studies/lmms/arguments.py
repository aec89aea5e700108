"""``--model_args`` of lmms-eval, as people type them: policies in them hold commas of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from saccade.controller.names import not_allowed

OPENING, CLOSING = "([{", ")]}"
QUOTES = "\"'"


def parse_arguments(text: str) -> dict[str, str]:
    """Split ``key=value,key=value`` at commas that are in no bracket and no quotes.

    Quotes around a whole value are taken off.

    Raises
    ------
    ValueError
        If a part has no ``=``, a key comes twice, or a bracket or quotes are not closed.
    """
    found: dict[str, str] = {}
    for part in _split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ValueError(f"model_args: {part!r} is no key=value; write pretrained=NAME,...")
        if key in found:
            raise ValueError(f"model_args: {key} is given twice")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES
        found[key] = value[1:-1] if quoted else value
    return found


def _split(text: str) -> Iterator[str]:
    depth, quote, part = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES:
            quote = letter
        elif letter in OPENING or letter in CLOSING:
            depth += 1 if letter in OPENING else -1
        if letter == "," and not depth and not quote:
            if part.strip():
                yield part.strip()
            part = ""
        else:
            part += letter
    if depth or quote:
        raise ValueError(f"model_args={text!r}: a bracket or quotes are not closed")
    if part.strip():
        yield part.strip()


def parse_options(options: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of `generate`, given as a mapping or as one in YAML's short form: ``{steps: 4}``.

    Raises
    ------
    ValueError
        If it is no mapping.
    """
    if options is None:
        return {}
    try:
        value = yaml.safe_load(options) if isinstance(options, str) else dict(options)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(
            f"options={options!r}: give a mapping: {{steps: 4}}, or {{chartqa: {{steps: 8}}}}"
        )
    return value


def check_names(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise `TypeError`, listing the known, unless all arguments are."""
    for name in given:
        if name not in known:
            raise TypeError(not_allowed("model_args", name, known))


def whole_number(name: str, value: int | str, least: int) -> int:
    """A whole number that may come as text.

    Raises
    ------
    ValueError
        If it is none, or too small.
    """
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name}={value!r}: give a whole number, {least} or more")
    return number
