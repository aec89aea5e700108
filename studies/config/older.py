"""Recipes from before policies and pruners had a text form: mappings of a name and options."""

from collections.abc import Mapping, Sequence
from typing import Any


def text_of_mapping(given: Mapping[str, Any]) -> str:
    """The text form of ``{"name": "after-share", "share": 0.5, "keep": 0.25}``.

    Raises
    ------
    ValueError
        If it has no name.
    """
    if not isinstance(given.get("name"), str):
        example = "after_share(0.5, keep=0.25)"
        raise ValueError(f"{dict(given)} names nothing; write a call such as {example}")
    options = [f"{key}={_text(value)}" for key, value in given.items() if key != "name"]
    return f"{given['name'].replace('-', '_')}({', '.join(options)})"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return text_of_mapping(value)
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, Sequence):
        return f"({''.join(_text(one) + ', ' for one in value)})"
    return repr(value)


def _words(value: str) -> str:
    """Numbers between slashes were sequences, names those of policies without options."""
    numbers = value.split("/")
    if all(number.replace(".", "", 1).isdigit() for number in numbers):
        return f"({''.join(number + ', ' for number in numbers)})"
    from saccade.controller.registry import policies

    name = value.replace("-", "_")
    return f"{name}()" if name in policies else repr(value)
