"""The text form of policies and pruners: the Python call that makes one."""

import inspect
from types import FunctionType
from typing import Any

from saccade.controller.one_line import one_line, prints_itself

INSIDE = ("policy",)
"""Options that are written without their names: what a wrapper wraps."""
FACTS = {"reads", "needs", "site", "source"}
"""Attributes that a policy or pruner states about itself, and nobody sets."""


def text_form(member: object) -> str:
    """The call that makes a policy or a pruner, with options that differ from their defaults.

    ``progressive(cover=0.9) + layer_skip()``; what `parse_policy` and `parse_pruner` read.
    """
    parts = []
    for parameter in parameters(type(member)):
        kept = next((n for n in (parameter.name, f"_{parameter.name}") if hasattr(member, n)), None)
        if kept is None:
            continue
        value = getattr(member, kept)
        if parameter.default is not parameter.empty and _same(value, parameter.default):
            continue
        text = _value_text(value)
        parts.append(text if parameter.name in INSIDE else f"{parameter.name}={text}")
    return f"{registered_name(type(member))}({', '.join(parts)})"


def written(member: object) -> str:
    """The `repr` of a policy or pruner, and its text form where its class has none of its own."""
    return repr(member) if prints_itself(member) else text_form(member)


def parameters(factory: Any) -> list[inspect.Parameter]:
    """What a factory takes by name and nobody states as a fact."""
    try:
        given = inspect.signature(factory, eval_str=True).parameters.values()
    except (NameError, TypeError):  # annotations that only a type checker sees
        given = inspect.signature(factory).parameters.values()
    return [
        p
        for p in given
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and not p.name.startswith("_")
        and p.name not in FACTS
    ]


def registered_name(cls: type) -> str:
    """The name under which a class is registered, or its own."""
    from saccade.controller.registry import policies, pruners

    return policies.name_of(cls) or pruners.name_of(cls) or cls.__name__


def _same(value: object, default: object) -> bool:
    try:
        return type(value) is type(default) and bool(value == default)
    except (RuntimeError, ValueError):  # arrays, which are equal element by element
        return value is default


def _value_text(value: object) -> str:
    if isinstance(value, tuple | list):
        texts = [_value_text(one) for one in value]
        return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
    if isinstance(value, FunctionType | type) or hasattr(value, "shape"):
        return one_line(value)
    text = repr(value)
    return text if prints_itself(value) and len(text.splitlines()) == 1 else one_line(value)
