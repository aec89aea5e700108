"""Policies and pruners written as text: the Python calls that make them, parsed and never run.

One language for the command line, study files and presets::

    progressive(cover=0.9) + layer_skip()
    abstain(auto(commit=None), steps=4)
    after_share(0.5, keep=0.25)
    fastv(queries="all")
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeVar

from saccade.controller.errors import UnknownNameError
from saccade.controller.member_options import options_of
from saccade.controller.names import closest, did_you_mean, unknown_name
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.registry import Registry, policies, pruners

T = TypeVar("T")
NONE = "none"
"""What stands for no policy, and for no pruner."""
LONGEST, DEEPEST = 4000, 20
"""Letters of a text, and calls inside each other."""
OLD = re.compile(r"^\s*[a-z][\w-]*\s*(:.*)?$")
"""How options were written before: ``after-share:share=0.5,keep=0.25``."""
DASHED = re.compile(r"^\s*([A-Za-z]\w*-[\w-]*)\s*(\(.*\))\s*$")
"""A call whose name has dashes: ``after-share(0.5)``."""


def is_none(text: object) -> bool:
    """Whether a text stands for no policy (the bare model), or for no pruner."""
    return isinstance(text, str) and text.strip().lower() in (NONE, f"{NONE}()")


def parse_policy(text: str) -> BasePolicy:
    """The policy that a text describes; policies joined by ``+`` are composed.

    ``none`` is `Keep`, which leaves the model as it is.

    Raises
    ------
    UnknownNameError
        For an unknown name, listing the known.
    ValueError
        If the text is not such a call, or an option is unknown, missing or of the wrong type.
    """
    return _parse(policies, "keep()" if is_none(text) else text)


def parse_pruner(text: str) -> Pruner:
    """The pruner that a text describes.

    Raises
    ------
    UnknownNameError, ValueError
        As `parse_policy`.
    """
    return _parse(pruners, text)


@dataclass(frozen=True, slots=True)
class Described:
    """A call as it was written, with the names of its options.

    Attributes
    ----------
    name : str
        As registered; "compose" for a sum.
    options : mapping of str to object
        Values as given; calls inside are `Described`, too.
    """

    name: str
    options: Mapping[str, Any]


def describe_policy(text: str) -> Described:
    """Name and options of a policy's text, without making it; errors as `parse_policy`."""
    return _describe(policies, _tree(policies, text), text)


def describe_pruner(text: str) -> Described:
    """Name and options of a pruner's text, without making it; errors as `parse_pruner`."""
    return _describe(pruners, _tree(pruners, text), text)


def _parse(registry: Registry[T], text: str) -> T:
    return _build(registry, _describe(registry, _tree(registry, text), text))


def _tree(registry: Registry[Any], text: object) -> ast.expr:
    if not isinstance(text, str):
        raise ValueError(f"a {registry.what} is written as text, not as {text!r}")
    if len(text) > LONGEST:
        raise ValueError(
            f"the text of a {registry.what} has {len(text)} letters; at most {LONGEST}"
        )
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        hint = _in_new_form(registry, text)
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(
            f"{text!r} does not describe a {registry.what}: {hint or reason}; write a call such as "
            f"{_example(registry)}"
        ) from None


def _example(registry: Registry[Any]) -> str:
    if registry is pruners:
        return 'fastv(queries="all")'
    return "after_share(share=0.5, keep=0.25) or progressive() + layer_skip()"


def _in_new_form(registry: Registry[Any], text: str) -> str:
    """What an older way of writing is now; "" if it is not one."""
    dashed = DASHED.match(text)
    if dashed:
        near = closest(dashed[1], registry)
        return f"did you mean {near}{dashed[2]}?" if near else ""
    if not OLD.match(text) or not (":" in text or "-" in text):
        return ""
    name, _, rest = text.strip().partition(":")
    new = closest(name, registry)
    if new is None:
        return ""
    options = ", ".join(part.strip() for part in rest.split(",") if part.strip())
    options = re.sub(
        r"=\s*([\d.]+(?:/[\d.]+)+)", lambda m: f"=({m[1].replace('/', ', ')})", options
    )
    return f"did you mean {new}({options})?"


def _describe(registry: Registry[Any], node: ast.expr, text: str, depth: int = 0) -> Described:
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} calls inside each other in a {registry.what}")
    if isinstance(node, ast.BinOp):
        hint = _in_new_form(registry, text)
        if hint:
            raise ValueError(f"{text!r} does not describe a {registry.what}: {hint}")
        if not isinstance(node.op, ast.Add) or registry is not policies:
            raise _wrong(registry, node, "only policies are joined, and by +")
        return Described("compose", {"policies": tuple(_summands(registry, node, text, depth))})
    if isinstance(node, ast.Name):
        return Described(_known(registry, node.id), {})
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _wrong(registry, node, f"write a call such as {_example(registry)}")
    name = _known(registry, node.func.id)
    return Described(name, _arguments(registry, name, node, text, depth))


def _summands(registry: Registry[Any], node: ast.expr, text: str, depth: int) -> list[Described]:
    out: list[Described] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        out.append(_describe(registry, node.right, text, depth + 1))
        node = node.left
    return [_describe(registry, node, text, depth + 1), *reversed(out)]


def _known(registry: Registry[Any], name: str) -> str:
    """The registered name that a name, or that of a class, stands for."""
    if name in registry:
        return name
    for known in registry:
        if getattr(registry.registered(known), "__name__", None) == name:
            return known
    raise UnknownNameError(_unknown(registry, name))


def _unknown(registry: Registry[Any], name: str) -> str:
    """What to say of a name that is not registered."""
    other = policies if registry is pruners else pruners
    if name == NONE:
        return f"{NONE} stands alone, for no {registry.what}; leave it out of other calls"
    if closest(name, registry) is None and name in other:
        return f"unknown {registry.what} {name!r}; it is a {other.what}; known: " + ", ".join(
            registry
        )
    return unknown_name(registry.what, name, registry)


def _arguments(
    registry: Registry[Any], name: str, call: ast.Call, text: str, depth: int
) -> dict[str, Any]:
    takes = options_of(registry.factory(name))
    names = [option.name for option in takes]
    if len(call.args) > len(names):
        raise ValueError(
            f"{registry.what} {name!r} takes at most {len(names)} options; {len(call.args)} given"
        )
    given = [*zip(names, call.args, strict=False)]
    for keyword in call.keywords:
        if keyword.arg is None:
            raise _wrong(registry, keyword.value, "** is not read")
        given.append((keyword.arg, keyword.value))
    values: dict[str, Any] = {}
    for key, node in given:
        if key in values:
            raise ValueError(f"{registry.what} {name!r}: {key} is given twice")
        values[key] = _value(registry, node, text, depth)
    return values


def _value(registry: Registry[Any], node: ast.expr, text: str, depth: int) -> Any:
    """A literal, or a call inside."""
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(registry, one, text, depth) for one in node.elts)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool | int | float | str | NoneType):
            return node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(registry, node.operand, text, depth)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    elif isinstance(node, ast.Name | ast.Call | ast.BinOp):
        if isinstance(node, ast.Name) and node.id not in registry and node.id.islower():
            raise ValueError(
                f"{node.id} in the {registry.what}: a text stands in quotes, {node.id!r}; "
                "other values are numbers, True, False, None, (1, 2) and calls"
            )
        return _describe(registry, node, text, depth + 1)
    raise _wrong(registry, node, "values are numbers, texts in quotes, True, False, None, (1, 2)")


def _wrong(registry: Registry[Any], node: ast.AST, why: str) -> ValueError:
    return ValueError(f"{ast.unparse(node)!r} is not read in a {registry.what}: {why}")


def _build(registry: Registry[T], described: Described) -> T:
    """Make what is described, its options checked before."""
    name, factory = described.name, registry.factory(described.name)
    values = {key: _built(registry, value) for key, value in described.options.items()}
    known = {option.name: option for option in options_of(factory)}
    unknown = [key for key in values if key not in known]
    if unknown:
        meant = did_you_mean(unknown[0], known)
        allowed = f"options: {', '.join(known)}" if known else "it takes none"
        raise ValueError(f"{registry.what} {name!r} has no option {unknown[0]!r}; {meant}{allowed}")
    missing = [key for key, option in known.items() if option.required and key not in values]
    if missing:
        example = ", ".join(f"{key}=..." for key in missing)
        raise ValueError(
            f"{registry.what} {name!r} needs {', '.join(missing)}: write {name}({example})"
        )
    try:
        return registry.make(name, **{key: known[key].check(v) for key, v in values.items()})
    except (ValueError, TypeError) as error:
        if str(error).startswith(f"{registry.what} {name!r}"):
            raise ValueError(str(error)) from error
        raise ValueError(f"{registry.what} {name!r}: {error}") from error


def _built(registry: Registry[Any], value: Any) -> Any:
    if isinstance(value, Described):
        return _build(registry, value)
    if isinstance(value, tuple):
        return tuple(_built(registry, one) for one in value)
    return value
