"""What a ladder of keep ratios remembers of one sequence, and makes of its signals."""

from dataclasses import dataclass, field

import numpy as np

from saccade.controller.plan import Plan
from saccade.controller.signals import Signals
from saccade.controller.types import round_keep


@dataclass(slots=True)
class Climb:
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
    n_tokens : int or None
        Visual tokens of the sequence, once signals have shown it.
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
    n_tokens: int | None = None

    def see(self, signals: Signals | None) -> None:
        """Take in what the step before showed."""
        before, self.now = self.now, signals
        if signals is None:
            return
        if signals.received is not None:
            self.n_tokens = len(signals.received)
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

    def answer_rise(self) -> float | None:
        """How far attention to the answer stands above its lowest."""
        return _above(self.answer, self.lowest_answer)

    def picture_rise(self) -> float | None:
        """How far attention to the picture stands above its lowest."""
        return _above(self.picture, self.lowest_picture)

    def count(self, keep: float) -> str:
        """How many tokens a rung keeps, as far as it is known how many there are."""
        if self.n_tokens is None:
            return "all" if keep == 1 else f"{keep:.0%} of the"
        return str(round_keep(keep, self.n_tokens))

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


def _above(value: float | None, lowest: float | None) -> float | None:
    return None if value is None or lowest is None else value - lowest


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)
