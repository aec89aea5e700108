"""The options of policies and pruners, and which plain values they take."""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from saccade.controller.text_form import parameters

WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    NoneType: "None",
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
    required : bool
    """

    name: str
    kinds: tuple[type, ...]
    default: object
    required: bool

    def check(self, value: object) -> object:
        """The value as the option wants it: a whole number may stand for any number.

        Raises
        ------
        ValueError
            If it is of no kind that the option takes.
        """
        if type(value) is int and float in self.kinds and int not in self.kinds:
            try:
                return float(value)
            except OverflowError:
                raise ValueError(f"{self.name} is a number beyond all bounds") from None
        if not self.kinds or type(value) in self.kinds:
            return value
        allowed = " or ".join(WORDS[kind] for kind in self.kinds)
        raise ValueError(f"{self.name}={value!r}: give {allowed}")


def options_of(factory: Any) -> list[Option]:
    """The options that a policy or pruner takes, read from its signature."""
    return [
        Option(p.name, _kinds(p.annotation), p.default, p.default is p.empty)
        for p in parameters(factory)
    ]


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
