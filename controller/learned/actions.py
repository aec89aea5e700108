"""Actions: what a learned schedule may do from a step on, until the answer is done."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from saccade.controller.arguments import check_fraction, check_int, check_sequence
from saccade.controller.plan import CommitRule, Drop, Plan


@dataclass(frozen=True, slots=True)
class Action:
    """Tokens to keep, layers to skip and confidence to commit at, from a step to the last.

    Attributes
    ----------
    keep : float
        Share of the visual tokens that stays, in [0, 1].
    skip : tuple of int
        Layers that visual tokens skip, ascending.
    commit : float or None
        Confidence from which positions are committed in addition to the schedule's.

    Raises
    ------
    ValueError
        If a value is not allowed, or the action does nothing.
    """

    keep: float = 1.0
    skip: tuple[int, ...] = ()
    commit: float | None = None

    def __post_init__(self) -> None:
        given = check_sequence("skip", self.skip)
        layers = tuple(sorted({check_int("a layer to skip", layer) for layer in given}))
        object.__setattr__(self, "keep", check_fraction("keep", self.keep))
        object.__setattr__(self, "skip", layers)
        if self.commit is not None:
            object.__setattr__(self, "commit", check_fraction("commit", self.commit))
        if not self.plan.acts:
            raise ValueError("an action keeps less than all, skips a layer, or commits; give one")

    @property
    def name(self) -> str:
        """``keep 0.5, skip 4 5, commit at 0.95``."""
        parts = []
        if self.keep < 1:
            parts.append(f"keep {self.keep:g}")
        if self.skip:
            parts.append(f"skip {' '.join(map(str, self.skip))}")
        if self.commit is not None:
            parts.append(f"commit at {self.commit:g}")
        return ", ".join(parts)

    @property
    def plan(self) -> Plan:
        """What every step does that it holds for."""
        drops = (Drop(0, self.keep),) if self.keep < 1 else ()
        rule = None if self.commit is None else CommitRule("threshold", self.commit)
        return Plan(drops, frozenset(self.skip), commit=rule)


def all_actions(
    keeps: Sequence[float],
    skips: Sequence[Sequence[int]] = (),
    commits: Sequence[float] = (),
) -> tuple[Action, ...]:
    """Every action that these make, alone and together; each once.

    Parameters
    ----------
    keeps : sequence of float
        Keep ratios below 1.
    skips : sequence of sequences of int
        Sets of layers that can be skipped.
    commits : sequence of float

    Raises
    ------
    ValueError
        If there is none, or a value is not allowed.
    """
    options = itertools.product((1.0, *keeps), ((), *skips), (None, *commits))
    made = [Action(k, tuple(s), c) for k, s, c in options if k != 1 or len(s) or c is not None]
    if not made:
        raise ValueError("there is no action; give keep ratios below 1, layers or confidences")
    return tuple(dict.fromkeys(made))
