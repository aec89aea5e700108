"""The parameters of a policy or pruner: its tunables, its choices, and its other numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from saccade.controller.member_options import Option, options_of
from saccade.controller.text_form import parameters
from saccade.controller.tunable import tunables
from saccade.tuning.parameters import Parameter

OPEN: tuple[Any, ...] = (None,)
"""Choices of an option that nothing is known of: it is left at its default unless a file says
what it may be."""


@dataclass(frozen=True, slots=True)
class Own:
    """An option as a parameter.

    Attributes
    ----------
    parameter : Parameter
    tried : bool
        Whether it is searched without being asked for.
    nullable : bool
        Whether None is a value of it besides its range.
    kinds : tuple of type
        As in `Option`.
    """

    parameter: Parameter
    tried: bool
    nullable: bool
    kinds: tuple[type, ...]


def own_parameters(owner: str, factory: Callable[..., Any]) -> dict[str, Own]:
    """The options of a member that plain values can be given for, by the option's name."""
    ranges = tunables(factory)
    annotations = {p.name: p.annotation for p in parameters(factory)}
    out = {}
    for option in options_of(factory):
        name = f"{owner}.{option.name}"
        nullable = NoneType in option.kinds
        if option.name in ranges:
            own = ranges[option.name]
            whole = isinstance(own.low, int) and isinstance(own.high, int)
            made = Parameter(name, own.default, (), own.low, own.high, whole, own.log, own.unit)
            out[option.name] = Own(made, True, nullable, option.kinds)
        elif choices := _choices(annotations[option.name]):
            made = Parameter(name, option.default, choices)
            out[option.name] = Own(made, True, False, option.kinds)
        elif {int, float} & set(option.kinds):
            out[option.name] = Own(_untried(name, option), False, nullable, option.kinds)
    return out


def _untried(name: str, option: Option) -> Parameter:
    default = None if option.required else option.default
    return Parameter(name, default, OPEN, whole=float not in option.kinds)


def _choices(annotation: object) -> tuple[Any, ...]:
    """All values of an annotation that has few; () for others."""
    if annotation is bool:
        return (True, False)
    origin = get_origin(annotation)
    if origin is Literal:
        return get_args(annotation)
    if origin in (Union, UnionType):
        parts = [_choices(part) for part in get_args(annotation) if part is not NoneType]
        if all(parts):
            return (*(value for part in parts for value in part), None)
    return ()
