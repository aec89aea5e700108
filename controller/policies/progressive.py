"""A ladder of keep ratios: down while the answer grows sure of itself, up where that breaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from saccade.controller.arguments import check_float, check_fraction, check_int, check_sequence
from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy, DefaultPruner, Watch
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState, round_keep

LADDER = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)


@dataclass(slots=True, repr=False)
class Progressive(BasePolicy):
    """Reduce the visual tokens step by step as signals allow, and bring them back as they demand.

    A rung down is taken when the answer's attention to itself has risen (`rise`; by default it need
    not, as models that are sure in their first step show no rise) and its confidence has surged,
    which the study saw follow each other, and when what would stay holds enough of what the answer
    attends to in the picture. A rung up is taken when confidence falls behind what it was
    before the last rung down, stalls, or attention to the picture rebounds. Which tokens stay is
    chosen when a rung is first taken, and anew when one that failed is tried again; on the way up
    earlier choices return.

    Parameters
    ----------
    ladder : sequence of float
        Keep ratios from 1 down.
    warmup : int
        Clean steps, with all tokens, before the first rung down; 1 or more.
    every : int
        Steps from one move to the next rung down; 1 or more.
    cover : float
        Share of the answer's attention to the picture, in the layer that attends most to it, that
        the most attended tokens of the next rung must hold together: of the attention to all
        tokens, by what each rung on the way left of it. 0: any.
    rise : float
        How far attention of the masked rows to the answer, mean over layers, must have risen above
        its lowest since the last move. 0: it need not rise.
    sure : float
        Mean confidence of the masked positions at which it has surged.
    surge : float
        Or the rise of it above its lowest in this call.
    fall : float
        Loss of confidence that asks for a rung up: the largest of any position, masked still,
        against the step before the last rung down. One token lost is a wrong answer.
    rebound : float
        Rise of attention to the picture above its lowest since the last move that asks for a rung
        up while confidence is below `sure`.
    stall : int
        Steps without a gain of confidence, while below `sure`, after which a rung up is taken.
    retry : int
        Steps after which a rung that failed is tried once more.
    layer : int
        Before which layer tokens go.

    Raises
    ------
    ValueError
        If a number is not allowed, or the ladder does not lead from 1 down.

    Notes
    -----
    The signals are those of arXiv 2511.15098, figure 2; the rule is ours.
    """

    ladder: Sequence[float] = LADDER
    warmup: int = tunable(1, 1, 8, "steps")
    every: int = tunable(1, 1, 8, "steps")
    cover: float = tunable(0.8, 0.0, 1.0, "share of the attention to the picture")
    rise: float = tunable(0.0, 0.0, 0.1, "attention mass")
    sure: float = tunable(0.9, 0.5, 1.0, "probability")
    surge: float = tunable(0.2, 0.01, 0.5, "probability")
    fall: float = tunable(0.1, 0.01, 0.5, "probability")
    rebound: float = tunable(0.1, 0.01, 0.5, "attention mass")
    stall: int = tunable(4, 2, 16, "steps")
    retry: int = tunable(8, 1, 32, "steps")
    layer: int = 0
    _state: "_Climb" = field(init=False, repr=False, compare=False)

    default_pruner: ClassVar[DefaultPruner] = ("redvtp", {"rows": "all"})
    """The pruner that chooses where none is given."""
    reselects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        steps = tuple(
            check_fraction("a keep ratio", keep) for keep in check_sequence("ladder", self.ladder)
        )
        rises = any(b >= a for a, b in zip(steps, steps[1:], strict=False))
        if not steps or steps[0] != 1 or rises:
            raise ValueError(f"ladder={self.ladder!r}: keep ratios must descend from 1")
        self.ladder = steps
        for name in ("warmup", "every", "stall", "retry"):
            setattr(self, name, check_int(name, getattr(self, name), least=1))
        for name in ("cover", "rise", "sure", "surge", "fall", "rebound"):
            setattr(self, name, check_float(name, getattr(self, name), "lie in [0, 1]", most=1.0))
        self.layer = check_int("layer", self.layer)
        self.reset()

    @property
    def reads(self) -> frozenset[str]:
        """Attention to the picture and confidence; attention to the answer where it has to rise."""
        read = {"confidence", "received"}
        return frozenset(read | {"attention"} if self.rise else read)

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """Every rung."""
        return frozenset(Drop(self.layer, keep) for keep in self.ladder[1:])

    def watches(self, state: StepState) -> Watch:
        """The layer that attends most to the picture, of which coverage is read; all of them in the
        first step, which finds it, while the answer is unsure, when attention may rebound, and
        where attention to the answer has to rise."""
        climb = self._state
        unsure = climb.confidence is None or climb.confidence < self.sure
        climb.full = climb.spike is None or unsure or self.rise > 0
        return True if climb.full or climb.spike is None else frozenset({climb.spike})

    def reset(self) -> None:
        """Stand on the highest rung, with nothing seen."""
        self._state = _Climb()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Move at most one rung, and keep to it."""
        climb, before = self._state, self._state.rung
        climb.see(signals)
        if climb.rung and self._should_restore(climb):
            climb.up(state.step)
        elif self._may_reduce(climb, state):
            climb.down(state.step, self.ladder[climb.rung + 1])
        if climb.rung != before or climb.plan.reselect:
            drops = (Drop(self.layer, self.ladder[climb.rung]),) if climb.rung else ()
            climb.plan = Plan(drops, reselect=climb.rung > before and climb.rung in climb.failed)
        return climb.plan

    def _may_reduce(self, climb: "_Climb", state: StepState) -> bool:
        """Whether the next rung down is there, may be tried, and signals allow it."""
        if climb.rung + 1 >= len(self.ladder) or state.step < self.warmup:
            return False
        if climb.moved is not None and state.step - climb.moved < self.every:
            return False
        failed = climb.failed.get(climb.rung + 1)
        if failed is not None and state.step - failed < self.retry:
            return False
        if not (climb.risen(self.rise) and climb.surged(self.sure, self.surge)):
            return False
        return climb.covered(self.ladder[climb.rung + 1]) >= self.cover

    def _should_restore(self, climb: "_Climb") -> bool:
        """Whether what was dropped is missed."""
        if climb.lost() > self.fall:
            return True
        if climb.confidence is None or climb.confidence >= self.sure:
            return False
        return climb.stalled >= self.stall or climb.rebounded(self.rebound)


@dataclass(slots=True)
class _Climb:
    """What a ladder remembers of one sequence.

    Attributes
    ----------
    rung : int
    moved : int or None
        Step of the last move.
    failed : dict of int to int
        Rungs that were left upwards, and when.
    confidence, lowest_confidence, best : float or None
        Mean over the masked positions: now, at its lowest in this call, at its best since the last
        move.
    answer, picture : float or None
        Attention masses now; `lowest_answer`, `lowest_picture`: at their lowest since the last
        move.
    stalled : int
        Steps without a gain of confidence.
    held : list of float
        Share of the attention to the whole picture that each rung down to this one left.
    now : Signals or None
        Of the step before.
    full : bool
        Whether all layers are measured in the present step.
    spike : int or None
        The layer that attended most to the picture when all were measured last.
    before : Signals or None
        Of the step before the last rung down.
    plan : Plan
        Of the step before.
    """

    rung: int = 0
    moved: int | None = None
    failed: dict[int, int] = field(default_factory=dict)
    confidence: float | None = None
    lowest_confidence: float | None = None
    best: float | None = None
    answer: float | None = None
    picture: float | None = None
    lowest_answer: float | None = None
    lowest_picture: float | None = None
    stalled: int = 0
    held: list[float] = field(default_factory=lambda: [1.0])
    now: Signals | None = None
    before: Signals | None = None
    plan: Plan = field(default_factory=Plan)
    full: bool = True
    spike: int | None = None

    def see(self, signals: Signals | None) -> None:
        """Take in what the step before showed."""
        before, self.now = self.now, signals
        if signals is None:
            return
        self.confidence = signals.mean_confidence
        if before is not None and before.bypassed != signals.bypassed:  # no longer comparable
            self.lowest_answer = self.lowest_picture = None
        self.lowest_confidence = _least(self.lowest_confidence, self.confidence)
        if self.full:
            self.see_all_layers(signals)
        if self.confidence is not None:
            gained = self.best is None or self.confidence > self.best
            self.stalled = 0 if gained else self.stalled + 1
            self.best = self.confidence if self.best is None else max(self.best, self.confidence)

    def see_all_layers(self, signals: Signals) -> None:
        """Take in attention, by its mean over the layers, and which of them attends most."""
        self.answer, self.picture = signals.response_mass, signals.visual_mass
        self.lowest_answer = _least(self.lowest_answer, self.answer)
        self.lowest_picture = _least(self.lowest_picture, self.picture)
        masses = signals.attention_visual
        if masses is not None and not bool(masses.isnan().all()):
            self.spike = int(masses.nan_to_num(-1.0).argmax())

    def risen(self, rise: float) -> bool:
        """Whether attention to the answer stands `rise` above its lowest."""
        if not rise:
            return True
        if self.answer is None or self.lowest_answer is None:
            return False
        return self.answer - self.lowest_answer >= rise

    def rebounded(self, rebound: float) -> bool:
        """Whether attention to the picture stands more than that above its lowest."""
        if self.picture is None or self.lowest_picture is None:
            return False
        return self.picture - self.lowest_picture > rebound

    def surged(self, sure: float, surge: float) -> bool:
        """Whether confidence is high, or has risen that much."""
        if self.confidence is None or self.lowest_confidence is None:
            return False
        return self.confidence >= sure or self.confidence - self.lowest_confidence >= surge

    def covered(self, keep: float) -> float:
        """Share of the attention to the whole picture that the most attended tokens of the next
        rung hold; 0 where it was not measured."""
        received = None if self.now is None else self.now.received
        if received is None:
            return 0.0
        values = np.sort(received.numpy())
        most = values[len(values) - round_keep(keep, len(values)) :]
        return self.held[-1] * float(most.sum() / max(values.sum(), 1e-12))

    def lost(self) -> float:
        """Largest loss of confidence of any position since the step before the last rung down, over
        what was masked then and is still."""
        now, before = self.now, self.before
        if now is None or before is None or now.masked is None or before.masked is None:
            return 0.0
        if now.confidence is None or before.confidence is None:
            return 0.0
        both = now.masked.numpy() & before.masked.numpy()
        lost = (before.confidence.numpy() - now.confidence.numpy())[both]
        lost = lost[lost == lost]  # not NaN
        return float(lost.max()) if len(lost) else 0.0

    def down(self, step: int, keep: float) -> None:
        self.held.append(self.covered(keep))
        self.before = self.now
        self.rung += 1
        self._move(step)

    def up(self, step: int) -> None:
        self.failed[self.rung] = step
        self.held.pop()
        self.rung -= 1
        self.before = None
        self._move(step)

    def _move(self, step: int) -> None:
        self.moved, self.stalled, self.best = step, 0, None
        self.lowest_answer = self.lowest_picture = None


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)
