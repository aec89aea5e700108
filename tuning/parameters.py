"""One number or choice that a search may change, and how a file of the user's narrows it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from saccade.controller.names import did_you_mean, not_allowed

if TYPE_CHECKING:
    import optuna

DIGITS = 4
"""Significant digits of a number that is tried: more make no difference, and longer texts."""
LARGEST = 2**53
"""Of the ends of a range: beyond it not all whole numbers are numbers of the sampler."""
KEYS = ("low", "high", "log")
"""Of a range that is written as a mapping."""


class SpaceError(ValueError):
    """A search space cannot be used; the message says which entry, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One option of a member, or a choice between members.

    Attributes
    ----------
    name : str
        ``progressive.cover``, say: as a file of the user's names it.
    default : object
    choices : tuple
        The values it may have; empty for a range.
    low, high : float or int
        Ends of the range, both included; whole numbers where `whole` is true.
    whole, log : bool
    unit : str
    settled : bool
        Whether no other values than its choices can be given.
    """

    name: str
    default: Any
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    unit: str = ""
    settled: bool = False

    def suggest(self, trial: "optuna.trial.Trial") -> Any:
        """The value that a trial is to try."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return self.rounded(trial.suggest_float(self.name, self.low, self.high, log=self.log))

    def rounded(self, value: float) -> float:
        """A number of few digits, within the range."""
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    @property
    def start(self) -> Any:
        """The default, or what is allowed next to it."""
        if self.choices:
            return self.default if self.default in self.choices else self.choices[0]
        if not isinstance(self.default, int | float):
            return int(self.low) if self.whole else self.low
        value = min(max(self.default, self.low), self.high)
        return int(value) if self.whole else float(value)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values whose validity speaks for all: the ends of a range, or all choices."""
        if self.choices:
            return self.choices
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    def plain(self) -> dict[str, Any]:
        """What it may be, as JSON has it."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.ends[0], "high": self.ends[1], "log": self.log}


def narrowed(parameter: Parameter, given: object) -> Parameter:
    """A parameter with what a file says of it: a value, ``[low, high]``, ``{low, high, log}`` or
    ``{choices: [...]}``.

    Raises
    ------
    SpaceError
        Naming the entry, what was given and what is allowed.
    """
    if parameter.settled:
        return _settled(parameter, given)
    if isinstance(given, Mapping):
        if set(given) == {"choices"}:
            return _choices(parameter, given["choices"])
        unknown = [key for key in given if key not in KEYS]
        if unknown:
            near = did_you_mean(unknown[0], [*KEYS, "choices"])
            raise _wrong(parameter, f"unknown key {unknown[0]!r}; {near}", given)
        if not {"low", "high"} <= set(given):
            raise _wrong(parameter, "a range needs low and high; ", given)
        return _range(parameter, given["low"], given["high"], given.get("log", parameter.log))
    if isinstance(given, Sequence) and not isinstance(given, str):
        if len(given) != 2:
            raise _wrong(parameter, "a list is a range of two ends; ", given)
        return _range(parameter, given[0], given[1], parameter.log)
    return _choices(parameter, [given])


def _settled(parameter: Parameter, given: object) -> Parameter:
    """One value, or some, of those that there are."""
    if isinstance(given, Mapping) and set(given) == {"choices"}:
        given = given["choices"]
    elif isinstance(given, str) or not isinstance(given, Sequence):
        given = [given]
    known = {(type(value), value) for value in parameter.choices}
    made = _choices(parameter, given)
    wrong = [value for value in made.choices if (type(value), value) not in known]
    if wrong:
        raise SpaceError(
            f"space: {parameter.name}: {not_allowed('value', wrong[0], parameter.choices)}"
        )
    return made


def _choices(parameter: Parameter, given: object) -> Parameter:
    plain = (bool, int, float, str, type(None))
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _wrong(parameter, "choices must be a list of one value or more; ", given)
    bad = [value for value in given if not isinstance(value, plain)]
    if bad or any(isinstance(v, float) and not math.isfinite(v) for v in given):
        raise _wrong(parameter, "values must be plain and finite; ", given)
    twice = len({(type(value), value) for value in given}) < len(given)
    if twice:
        raise _wrong(parameter, "a value is given twice; ", given)
    return replace(parameter, choices=tuple(given))


def _range(parameter: Parameter, low: object, high: object, log: object) -> Parameter:
    ends = (low, high)
    if not isinstance(log, bool):
        raise _wrong(parameter, f"log={log!r} must be true or false; ", list(ends))
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise _wrong(parameter, "both ends must be numbers (choices: for others); ", list(ends))
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not (-LARGEST <= low <= LARGEST and -LARGEST <= high <= LARGEST) or low > high:
        why = "low must be at most high, and both finite, up to 2**53; "
        raise _wrong(parameter, why, list(ends))
    if parameter.whole and not (float(low).is_integer() and float(high).is_integer()):
        raise _wrong(parameter, "both ends must be whole numbers; ", list(ends))
    if log and low <= (0 if not parameter.whole else 0.5):
        raise _wrong(parameter, "a log scale begins above 0 (whole numbers: at 1); ", list(ends))
    if low == high:
        return replace(parameter, choices=(int(low) if parameter.whole else float(low),))
    return replace(parameter, choices=(), low=low, high=high, log=log)


def _wrong(parameter: Parameter, why: str, given: object) -> SpaceError:
    return SpaceError(
        f"space: {parameter.name}: {given!r}: {why}write a value, [low, high], "
        "{low: ..., high: ..., log: true} or {choices: [...]}"
    )
