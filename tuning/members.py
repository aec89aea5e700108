"""Policies and pruners as templates: which options their texts give, and which they leave open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saccade.controller.expressions import Described, parse_policy, parse_pruner
from saccade.controller.registry import policies, pruners
from saccade.controller.text_form import written
from saccade.tuning.member_parameters import Own, own_parameters


@dataclass(frozen=True, slots=True)
class Member:
    """A call, and those inside it.

    Attributes
    ----------
    text : str
        As it is written where a file names it; of the outermost only.
    name : str
        As registered.
    owner : str
        What its parameters' names begin with: `name`, and a number where the call has it before.
    given : mapping of str to object
        Options that the text gives.
    own : mapping of str to Own
        Options that may be searched, by name.
    inside : tuple of Member
        Policies that it wraps or composes.
    toggles : tuple of str
        Of a composition of several: names of the parameters that say whether each takes part.
    """

    text: str
    name: str
    owner: str
    given: Mapping[str, Any]
    own: Mapping[str, Own]
    inside: "tuple[Member, ...]" = ()
    toggles: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names of all parameters that it and those inside may have."""
        names = {f"{self.owner}.{name}" for name in self.own} | set(self.toggles)
        return names.union(*(inner.names for inner in self.inside))

    @property
    def all_toggles(self) -> set[str]:
        """Those of itself and of those inside."""
        return set(self.toggles).union(*(inner.all_toggles for inner in self.inside))


def template(text: str, described: Described, what: str) -> Member:
    """A member from its description.

    Options that have no default and are not given are errors later, unless the space opens them.
    """
    made = _member(described, what, {})
    shown = _shown(text, what)
    return Member(shown, made.name, made.owner, made.given, made.own, made.inside, made.toggles)


def _shown(text: str, what: str) -> str:
    """The one form of a text, or the text where it leaves open what has no default."""
    try:
        return written(parse_policy(text) if what == "policy" else parse_pruner(text))
    except ValueError as error:
        if "needs" in str(error):
            return text.strip()
        raise


def _member(described: Described, what: str, counts: dict[str, int]) -> Member:
    counts[described.name] = counts.get(described.name, 0) + 1
    number = counts[described.name]
    owner = described.name if number == 1 else f"{described.name}.{number}"
    registry: Any = policies if what == "policy" else pruners
    own = own_parameters(owner, registry.factory(described.name))
    inside: list[Member] = []
    given: dict[str, Any] = {}
    for name, value in described.options.items():
        parts = value if isinstance(value, tuple) else (value,)
        if parts and all(isinstance(part, Described) for part in parts):
            inside += [_member(part, what, counts) for part in parts]
        else:
            given[name] = value
    toggles: tuple[str, ...] = ()
    if described.name == "compose" and len(inside) > 1:
        toggles = tuple(f"with.{inner.owner}" for inner in inside)
    return Member("", described.name, owner, given, own, tuple(inside), toggles)
