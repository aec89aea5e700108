"""Policies and pruners as typed on the command line: ``name:key=value,key=value``."""

from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from saccade.studies.plugins import build, options_of

if TYPE_CHECKING:
    from saccade.controller.registry import Registry

T = TypeVar("T")


def make(registry: "Registry[T]", spec: str) -> T:
    """Build a registered member from what was typed.

    Raises
    ------
    UnknownNameError
        For an unknown name, listing the known.
    ValueError
        For options that are unknown, missing, repeated or of the wrong type.
    """
    name, texts = parse(spec)
    options = options_of(registry.factory(name))
    missing = [option.name for option in options if option.required and option.name not in texts]
    if missing and {option.name for option in options} >= set(texts):
        example = ",".join(f"{key}=..." for key in missing)
        raise ValueError(f"{registry.what} {name!r} needs {', '.join(missing)}: {name}:{example}")
    words = {option.name for option in options if set(option.kinds) in ({str}, {str, NoneType})}
    values = {key: _guess(text, key in words) for key, text in texts.items()}
    return build(registry, name, values)


def parse(spec: str) -> tuple[str, dict[str, str]]:
    """Split ``name:key=value,key=value`` into the name and its options' texts."""
    name, _, rest = spec.strip().partition(":")
    if not name:
        raise ValueError(f"{spec!r} names nothing; write name or name:key=value,key=value")
    texts: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not (key and equals and text):
            raise ValueError(f"{part!r} in {spec!r} is not key=value; write {name}:key=value,...")
        if key in texts:
            raise ValueError(f"{spec!r} gives {key} twice")
        texts[key] = text
    return name, texts


def _guess(text: str, is_word: bool) -> Any:
    """What a typed value means; an option that takes words gets the text, unless it says none."""
    if text.lower() == "none":
        return None
    if is_word:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def options_from(given: Sequence[str]) -> dict[str, Any]:
    """Options typed one by one as ``key=value``.

    Raises
    ------
    ValueError
        For what is no ``key=value``, or a key that is given twice.
    """
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = (piece.strip() for piece in text.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set {text!r} is not OPTION=VALUE, such as alg=entropy")
        if key in values:
            raise ValueError(f"--set gives {key} twice")
        values[key] = _guess(value, is_word=False)
    return values
