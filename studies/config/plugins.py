"""Policies and pruners by name and options: what they take, checked before they are built."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, TypeVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from saccade.controller.registry import Registry

T = TypeVar("T")
EMPTY = inspect.Parameter.empty
INSIDE = ("policy", "policies")
"""Options of wrappers that hold members of the same registry, by name and options themselves."""
FACTS = {"reads", "needs", "site", "source"}
"""Attributes that a policy or pruner states about itself, and nobody sets."""
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    NoneType: "none",
}


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

    def check(self, value: object) -> object:
        """The value as the option wants it: a whole number may stand for any number.

        Raises
        ------
        ValueError
            If it is of no kind that the option takes.
        """
        if type(value) is int and float in self.kinds and int not in self.kinds:
            return float(value)
        if not self.kinds or type(value) in self.kinds:
            return value
        allowed = " or ".join(WORDS[kind] for kind in self.kinds)
        raise ValueError(f"{self.name}={value}: give {allowed}")


def options_of(factory: Callable[..., object]) -> list[Option]:
    """The options a factory takes, read from its signature."""
    return [
        Option(p.name, _kinds(p.annotation), p.default)
        for p in _parameters(factory)
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and not p.name.startswith("_")
        and p.name not in FACTS
    ]


def build(registry: "Registry[T]", name: str, values: Mapping[str, object]) -> T:
    """Build a registered member.

    Raises
    ------
    UnknownNameError
        For an unknown name, listing the known.
    ValueError
        For options that are unknown, missing or of the wrong type.
    """
    factory = registry.factory(name)
    known = {option.name: option for option in options_of(factory)}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in _parameters(factory))
    unknown = [key for key in values if key not in known]
    if unknown and not open_ended:
        allowed = f"options: {', '.join(known)}" if known else "it takes none"
        raise ValueError(f"{registry.what} {name!r} has no option {unknown[0]!r}; {allowed}")
    missing = [option.name for option in known.values() if option.required]
    missing = [option for option in missing if option not in values]
    if missing:
        raise ValueError(f"{registry.what} {name!r} needs {', '.join(missing)}")
    try:
        values = {k: _nested(registry, v) if k in INSIDE else v for k, v in values.items()}
        checked = {k: known[k].check(v) if k in known else v for k, v in values.items()}
    except ValueError as error:
        raise ValueError(f"{registry.what} {name!r}: {error}") from error
    return registry.make(name, **checked)


def _nested(registry: "Registry[T]", value: object) -> object:
    """The members that a wrapper's option describes: a name, a name with options, or several."""
    if isinstance(value, str):
        return build(registry, value, {})
    if isinstance(value, Mapping):
        rest = {key: option for key, option in value.items() if key != "name"}
        if not isinstance(value.get("name"), str):
            raise ValueError(f"{dict(value)} names nothing; give name, and options beside it")
        return build(registry, str(value["name"]), rest)
    if isinstance(value, list | tuple):
        return tuple(_nested(registry, one) for one in value)
    return value


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory, eval_str=True).parameters.values())
    except NameError:  # annotations that only a type checker sees
        return list(inspect.signature(factory).parameters.values())


def _kinds(annotation: object) -> tuple[type, ...]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        parts = [_kinds(part) for part in get_args(annotation)]
        return tuple(kind for part in parts for kind in part) if all(parts) else ()
    if origin is Literal:
        return tuple({type(value) for value in get_args(annotation)})
    if annotation is None:
        return (NoneType,)
    plain = (bool, int, float, str, NoneType)
    return (annotation,) if isinstance(annotation, type) and annotation in plain else ()
