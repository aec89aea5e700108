"""Plans: what one step will do, as frozen values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from saccade.controller.arguments import check_bool, check_float, check_fraction, check_int
from saccade.controller.errors import PlanError
from saccade.controller.names import not_allowed


@dataclass(frozen=True, slots=True)
class Drop:
    """Before `layer`, reduce the visual tokens to `keep` of their ORIGINAL count.

    Attributes
    ----------
    layer : int
        0 is before the stack.
    keep : float
        Share that stays, in [0, 1].

    Raises
    ------
    PlanError
        If `layer` is not a whole number from 0, or `keep` is not a number in [0, 1].
    """

    layer: int
    keep: float

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "layer", check_int("layer", self.layer))
            object.__setattr__(self, "keep", check_fraction("keep", self.keep))
        except ValueError as error:
            raise PlanError(f"Drop: {error}") from None


@dataclass(frozen=True, slots=True)
class CommitRule:
    """Positions that a step commits in addition to those of the schedule.

    Attributes
    ----------
    kind : "threshold" or "factor"
        All at or above a confidence, or Fast-dLLM's factor rule.
    value : float
        The confidence, in [0, 1], or the factor, 0 or more.

    Raises
    ------
    PlanError
        For another kind, or a value out of range.
    """

    kind: Literal["threshold", "factor"]
    value: float

    def __post_init__(self) -> None:
        if self.kind not in ("threshold", "factor"):
            words = not_allowed("kind", self.kind, ("threshold", "factor"))
            raise PlanError(f"CommitRule: {words}")
        try:
            if self.kind == "threshold":
                value = check_fraction("value", self.value)
            else:
                value = check_float("value", self.value, "be 0 or more")
            object.__setattr__(self, "value", value)
        except ValueError as error:
            raise PlanError(f"CommitRule: {error}") from None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one step will do. ``Plan()`` does nothing.

    Attributes
    ----------
    drops : tuple of Drop
        Ascending by layer, keep not rising. Any iterable can be given.
    bypass : frozenset of int
        Layers the visual tokens skip. Any iterable can be given.
    refresh : bool
        Recompute cached prompt keys and values.
    commit : CommitRule or None
        What is committed in addition to the model's own schedule; None: nothing.
    reselect : bool
        Ask the pruner again instead of keeping the selection made before.
    reason : str
        Why: the rule, what was measured, and its threshold; "" where nothing is said. Plans that
        do the same are equal, whatever their reasons.

    Raises
    ------
    PlanError
        If layers do not ascend, `keep` rises, or a value of `bypass`, `refresh` or `reselect` is
        not allowed.
    TypeError
        If `drops` is not a collection of drops, `bypass` not a collection, or `commit` not a rule.
    """

    drops: tuple[Drop, ...] = ()
    bypass: frozenset[int] = frozenset()
    refresh: bool = False
    commit: CommitRule | None = None
    reselect: bool = False
    reason: str = field(default="", compare=False)

    @property
    def acts(self) -> bool:
        """Whether it does anything, a rule for commits included."""
        return self != NOTHING

    def because(self, reason: str) -> "Plan":
        """The same plan, for this reason; `TypeError` if it is no text."""
        _check_reason(reason)
        own = object.__new__(Plan)  # it was checked when it was made
        for name in PARTS:
            object.__setattr__(own, name, getattr(self, name))
        object.__setattr__(own, "reason", reason)
        return own

    def __post_init__(self) -> None:
        self._make_plain()
        for before, after in zip(self.drops, self.drops[1:], strict=False):
            if after.layer <= before.layer or after.keep > before.keep:
                raise PlanError(
                    f"drops {before} then {after}: layers must ascend and keep must not rise"
                )

    def _make_plain(self) -> None:
        """Make the collections what they are declared as, so that nobody can change them later."""
        drops, bypass = _entries("drops", self.drops), _entries("bypass", self.bypass)
        if not all(isinstance(drop, Drop) for drop in drops):
            raise TypeError(f"Plan: drops={self.drops!r}; give a collection of Drop(layer, keep)")
        _check_reason(self.reason)
        if not isinstance(self.commit, CommitRule | None):
            raise TypeError(f"Plan: commit={self.commit!r}; give a CommitRule or None")
        try:
            layers = frozenset(check_int("a layer to bypass", layer) for layer in bypass)
            check_bool("refresh", self.refresh), check_bool("reselect", self.reselect)
        except ValueError as error:
            raise PlanError(f"Plan: {error}") from None
        object.__setattr__(self, "drops", drops)
        object.__setattr__(self, "bypass", layers)


PARTS = ("drops", "bypass", "refresh", "commit", "reselect")
"""What a plan does: its fields but the reason."""


def _check_reason(given: object) -> None:
    if not isinstance(given, str):
        raise TypeError(f"Plan: reason={given!r}; give a text")


def _entries(name: str, given: object) -> tuple[Any, ...]:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise TypeError(f"Plan: {name}={given!r} is not a collection")
    return tuple(given)


NOTHING = Plan()
