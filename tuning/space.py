"""The search space: policies, pruners and their options, as texts with some values left open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError
from saccade.controller.expressions import (
    Described,
    describe_policy,
    describe_pruner,
    is_none,
    parse_policy,
)
from saccade.controller.names import unknown_name
from saccade.controller.policies.auto import Auto
from saccade.controller.policies.keep import Keep
from saccade.controller.registry import pruners as registered_pruners
from saccade.controller.text_form import written
from saccade.controller.types import BackboneSpec
from saccade.tuning.members import Member, template
from saccade.tuning.parameters import Parameter, SpaceError, narrowed
from saccade.tuning.setting import Setting

Pick = Callable[[Parameter], Any]
POLICY, PRUNER = "policy", "pruner"


class Space:
    """What a search may choose from.

    Parameters
    ----------
    policies : sequence of str
        Of several, one is chosen. What a text gives is fixed; tunable options that it leaves out
        are searched, also those of policies inside others, and whether each of those that are
        composed takes part.
    pruners : sequence of str
        Of several, one is chosen, with those of its options that have few values. None: what the
        policies name by default.
    narrowing : mapping of str to object
        By name of a parameter: see `narrowed`. It may also open an option that would not be
        searched, such as ``after_share.keep``.

    Raises
    ------
    SpaceError
        For what cannot be used, saying what is allowed.
    """

    def __init__(
        self,
        policies: Sequence[str],
        pruners: Sequence[str] = (),
        narrowing: Mapping[str, Any] | None = None,
    ) -> None:
        if not policies:
            raise SpaceError("the space has no policy; give one or more")
        self.narrowing = dict(narrowing or {})
        self.policies = _templates(policies, POLICY)
        self.pruners = _templates(pruners, PRUNER)
        self.parameters: dict[str, Parameter] = {}
        self._known: dict[str, Parameter] = {}
        for what, members in ((POLICY, self.policies), (PRUNER, self.pruners)):
            if len(members) > 1:
                texts = tuple(member.text for member in members)
                self._add(Parameter(what, texts[0], texts, settled=True), tried=True)
            for member in members:
                self._collect(member)
        self._check_names()
        self._check_starts()
        self._check_ends()

    def _check_starts(self) -> None:
        """Build every policy and pruner once, so that what lacks a value is known now."""
        for what, members in ((POLICY, self.policies), (PRUNER, self.pruners)):
            for member in members:
                chosen = {what: member.text}
                try:
                    self.setting(lambda p, chosen=chosen: chosen.get(p.name, p.start))  # type: ignore[misc]
                except (SaccadeError, ValueError, TypeError) as error:
                    hint = f", or give a range of it in space ({member.owner}.OPTION: [low, high])"
                    raise SpaceError(
                        f"the space's {what} {member.text!r}: {error}"
                        f"{hint if 'needs' in str(error) else ''}"
                    ) from error

    def _collect(self, member: Member) -> None:
        """The parameters of a member and of those inside."""
        for toggle in member.toggles:
            self._add(_switch(toggle), tried=True)
        for name, own in member.own.items():
            given = name in member.given
            full = f"{member.owner}.{name}"
            if given and full not in self.narrowing:
                self._known.setdefault(full, own.parameter)
                continue
            start = member.given[name] if given else own.parameter.default
            self._add(replace(own.parameter, default=start), tried=own.tried)
            if own.nullable and own.tried and full not in self.narrowing:
                self._add(_switch(f"{full}.used"), tried=True)
        for inner in member.inside:
            self._collect(inner)

    def _add(self, parameter: Parameter, *, tried: bool) -> None:
        name = parameter.name
        self._known[name] = parameter
        if name in self.parameters:
            return
        if name in self.narrowing:
            self.parameters[name] = narrowed(parameter, self.narrowing[name])
        elif tried:
            self.parameters[name] = parameter

    def _check_names(self) -> None:
        unknown = [name for name in self.narrowing if name not in self._known]
        if unknown:
            raise SpaceError(f"space: {unknown_name('entry', unknown[0], self._known)}")

    def _check_ends(self) -> None:
        """Build what the entries of the user's file allow, so that a wrong one is known now.

        Values that only do not fit the others' defaults are left to the trials.
        """
        starts: tuple[Callable[[Parameter], Any], ...] = (
            lambda p: p.start,
            lambda p: p.ends[0],
            lambda p: p.ends[-1],
        )
        for name in self.narrowing:
            for end in self.parameters[name].ends:
                problems = [self._problem(name, end, start) for start in starts]
                if all(problems):
                    raise SpaceError(f"space: {name}: {end!r} cannot be used: {problems[0]}")

    def _problem(self, name: str, value: Any, start: Pick) -> str | None:
        """Why no setting can have a value; None if one can."""
        where = self._home(name)

        def pick(parameter: Parameter) -> Any:
            if parameter.name == name:
                return value
            if parameter.name in where:
                return where[parameter.name]
            return start(parameter)

        try:
            self.setting(pick)
        except (SaccadeError, ValueError, TypeError) as error:
            return str(error)
        return None

    def _home(self, name: str) -> dict[str, Any]:
        """Which policy and pruner have a parameter."""
        found: dict[str, Any] = {}
        for what, members in ((POLICY, self.policies), (PRUNER, self.pruners)):
            has = [member for member in members if name in member.names]
            if has:
                found |= {what: has[0].text} | {toggle: True for toggle in has[0].all_toggles}
        return found

    def setting(self, pick: Pick) -> Setting:
        """The setting that chosen values make; `pick` is asked only for what matters to it.

        Raises
        ------
        SaccadeError, ValueError
            If values do not go together.
        """
        policy = self._chosen(POLICY, self.policies, pick)
        text = self._text(policy, pick) or "keep()"
        if not self.pruners or parse_policy(text).drops_ahead == frozenset():
            return Setting.of(text)
        return Setting.of(text, self._text(self._chosen(PRUNER, self.pruners, pick), pick))

    def every(self, pick: Pick) -> Setting:
        """The same, but `pick` is asked for all parameters, as flat spaces need it."""
        values = {name: pick(own) for name, own in self.parameters.items()}
        return self.setting(lambda parameter: values[parameter.name])

    def start(self) -> dict[str, Any]:
        """Values of the parameters that make the first policy as it is written."""
        values: dict[str, Any] = {}

        def pick(parameter: Parameter) -> Any:
            values[parameter.name] = parameter.start
            return parameter.start

        self.setting(pick)
        return values

    def _chosen(self, what: str, members: Sequence[Member], pick: Pick) -> Member:
        if len(members) == 1:
            return members[0]
        text = pick(self.parameters[what])
        return next(member for member in members if member.text == text)

    def _text(self, member: Member, pick: Pick) -> str:
        """A member's call with the chosen values; "" for one that takes no part."""
        if member.toggles:
            parts = [
                self._text(inner, pick)
                for toggle, inner in zip(member.toggles, member.inside, strict=True)
                if pick(self.parameters[toggle])
            ]
            return " + ".join(filter(None, parts))
        parts = [f"{key}={value!r}" for key, value in self._values(member, pick)]
        inner = [self._text(one, pick) or "keep()" for one in member.inside]
        if member.name == "compose":
            return inner[0]
        return f"{member.name}({', '.join([*inner, *parts])})"

    def _values(self, member: Member, pick: Pick) -> Iterator[tuple[str, Any]]:
        for name in (*member.given, *(own for own in member.own if own not in member.given)):
            full = f"{member.owner}.{name}"
            if full not in self.parameters:
                if name in member.given:
                    yield name, member.given[name]
            elif f"{full}.used" in self.parameters and not pick(self.parameters[f"{full}.used"]):
                yield name, None
            else:
                yield name, pick(self.parameters[full])

    def plain(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "policies": [member.text for member in self.policies],
            "pruners": [member.text for member in self.pruners],
            "parameters": {name: own.plain() for name, own in self.parameters.items()},
        }


def _switch(name: str) -> Parameter:
    return Parameter(name, True, (True, False), settled=True)


def _templates(texts: Sequence[str], what: str) -> list[Member]:
    out: list[Member] = []
    for text in texts:
        if what == PRUNER and is_none(text):
            raise SpaceError(f"the space's pruner: {text!r} is none; leave it out")
        try:
            describe = describe_policy if what == POLICY else describe_pruner
            described = Described("keep", {}) if is_none(text) else describe(text)
            made = template(text, described, what)
        except (SaccadeError, ValueError) as error:
            raise SpaceError(f"the space's {what}: {error}") from error
        if made.text in (one.text for one in out):
            raise SpaceError(f"the space has the {what} {text!r} twice; leave one out")
        out.append(made)
    return out


def default_policies(spec: BackboneSpec) -> list[str]:
    """What `Auto` would do on a backbone, with all of its thresholds in sight; and a drop at one
    time, beside commits, which costs least where little is needed."""
    bound = Auto().bind(spec)
    if isinstance(bound, Keep):
        return ["keep()"]
    found = [written(bound)]
    if {"drop", "commit"} <= spec.can:
        found.append("after_share(share=0.0, keep=0.5, layer=1) + confident_commits()")
    return found


def default_narrowing(policies: Sequence[str], spec: BackboneSpec) -> dict[str, Any]:
    """What the texts of `default_policies` give and is searched all the same."""
    if not any("after_share" in policy for policy in policies):
        return {}
    return {
        "after_share.share": {"choices": [0.0, 0.25, 0.5]},
        "after_share.keep": {"choices": [0.75, 0.5, 0.25, 0.1]},
        "after_share.layer": {"choices": list(range(spec.geometry.n_layers))},
    }


def default_pruners(policies: Sequence[str], spec: BackboneSpec) -> list[str]:
    """Registered pruners that a backbone can carry out with one of these policies at least, that
    which the policies name first."""
    able = []
    for name in registered_pruners.usable()[0]:
        if any(_fits(policy, f"{name}()", spec) for policy in policies):
            able.append(f"{name}()")
    wishes = [Controller(policy).policy.default_pruner for policy in policies]
    first = [f"{wish[0]}()" for wish in wishes if wish is not None]
    return sorted(able, key=lambda text: text not in first)


def _fits(policy: str, pruner: str, spec: BackboneSpec) -> bool:
    try:
        Controller(policy, pruner).check(spec)
    except (SaccadeError, ValueError, TypeError):
        return False
    return True
