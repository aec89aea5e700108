"""Policies and pruners as typed on the command line: ``name:key=value,key=value``."""

from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from saccade.studies.config.plugins import build, options_of

if TYPE_CHECKING:
    from saccade.controller.registry import Registry

T = TypeVar("T")


def make(registry: "Registry[T]", spec: str) -> T:
    """Build a registered member from what was typed.

    Of policies, several joined by ``+`` are composed, and a wrapper has the policy inside in
    parentheses: ``abstain(progressive+layer-skip):steps=4``.

    Raises
    ------
    UnknownNameError
        For an unknown name, listing the known.
    ValueError
        For options that are unknown, missing, repeated or of the wrong type, or parentheses that do
        not match.
    """
    name, values = described(registry, spec)
    return build(registry, name, values)


def described(registry: "Registry[T]", spec: str) -> tuple[str, dict[str, Any]]:
    """Name and options of what was typed."""
    parts = _split(spec, "+")
    if len(parts) > 1:
        return "compose", {"policies": [_plain(registry, part) for part in parts]}
    head, inside, rest = _opened(spec)
    name, texts = parse(head + rest)
    inner = {} if inside is None else {"policy": _plain(registry, inside)}
    options = options_of(registry.factory(name))
    missing = [o.name for o in options if o.required and o.name not in {*texts, *inner}]
    if missing == ["policy"]:
        raise ValueError(f"{name} wraps a policy; write it in parentheses: {name}(progressive)")
    if missing == ["policies"]:
        raise ValueError(f"{name} joins policies; write them with +: progressive+layer-skip")
    if missing and {option.name for option in options} >= set(texts):
        example = ",".join(f"{key}=..." for key in missing)
        raise ValueError(f"{registry.what} {name!r} needs {', '.join(missing)}: {name}:{example}")
    words = {option.name for option in options if set(option.kinds) in ({str}, {str, NoneType})}
    return name, inner | {key: _guess(text, key in words) for key, text in texts.items()}


def _plain(registry: "Registry[T]", spec: str) -> dict[str, Any]:
    name, values = described(registry, spec)
    return {"name": name, **values}


def _split(spec: str, mark: str) -> list[str]:
    """Parts between marks that stand outside of parentheses."""
    parts, depth = [""], 0
    for letter in spec:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise ValueError(f"the parentheses of {spec!r} do not match")
    return parts


def _opened(spec: str) -> tuple[str, str | None, str]:
    """What stands before, in and behind the outer parentheses; None without any."""
    if "(" not in spec:
        return spec, None, ""
    first, last = spec.index("("), spec.rindex(")")
    return spec[:first], spec[first + 1 : last], spec[last + 1 :]


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
