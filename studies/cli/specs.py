"""Policies and pruners as typed on the command line: ``name:key=value,key=value``."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from saccade.controller.protocols import Pruner
    from saccade.controller.registry import Registry

T = TypeVar("T")
EMPTY = inspect.Parameter.empty
FACTS = {"reads", "needs", "site", "source"}
"""Attributes that a policy or pruner states about itself, and nobody sets."""
WORDS = {bool: "true or false", int: "a whole number", float: "a number", NoneType: "none"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a policy or pruner.

    Attributes
    ----------
    name : str
    kinds : tuple of type
        Plain types its value may have; empty if unknown.
    default : object
        `inspect.Parameter.empty` if it must be given.
    """

    name: str
    kinds: tuple[type, ...]
    default: object

    @property
    def required(self) -> bool:
        return self.default is EMPTY

    def __str__(self) -> str:
        return self.name if self.required else f"{self.name}={self.default}"


def pruner_registry() -> "Registry[Pruner]":
    """The registry of pruners, with those of the package in it."""
    import saccade.pruners  # noqa: F401  registers them
    from saccade.controller.registry import pruners

    return pruners


def options_of(factory: Callable[..., object]) -> list[Option]:
    """The options a factory takes, read from its signature."""
    return [
        Option(p.name, _kinds(p.annotation), p.default)
        for p in _parameters(factory)
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and not p.name.startswith("_")
        and p.name not in FACTS
    ]


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
    factory = registry.factory(name)
    options = options_of(factory)
    known = {option.name: option for option in options}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in _parameters(factory))
    unknown = [key for key in texts if key not in known]
    if unknown and not open_ended:
        allowed = f"options: {', '.join(known)}" if known else "it takes none"
        raise ValueError(f"{registry.what} {name!r} has no option {unknown[0]!r}; {allowed}")
    missing = [option.name for option in options if option.required and option.name not in texts]
    if missing:
        example = ",".join(f"{key}=..." for key in missing)
        raise ValueError(f"{registry.what} {name!r} needs {', '.join(missing)}: {name}:{example}")
    try:
        values = {
            k: _value(known[k], text) if k in known else _guess(text) for k, text in texts.items()
        }
    except ValueError as error:
        raise ValueError(f"{registry.what} {name!r}: {error}") from error
    return registry.make(name, **values)


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


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory, eval_str=True).parameters.values())
    except NameError:  # annotations that only a type checker sees
        return list(inspect.signature(factory).parameters.values())


def _kinds(annotation: object) -> tuple[type, ...]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _kinds(part))
    if origin is Literal:
        return tuple({type(value) for value in get_args(annotation)})
    if annotation is None:
        return (NoneType,)
    plain = (bool, int, float, str, NoneType)
    return (annotation,) if isinstance(annotation, type) and annotation in plain else ()


def _value(option: Option, text: str) -> object:
    value = _guess(text)
    if type(value) is int and float in option.kinds and int not in option.kinds:
        return float(value)
    if not option.kinds or type(value) in option.kinds:
        return value
    if str in option.kinds:
        return text
    allowed = " or ".join(WORDS[kind] for kind in option.kinds)
    raise ValueError(f"{option.name}={text}: give {allowed}")


def _guess(text: str) -> Any:
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
