"""A ladder of keep ratios: down while the answer grows sure of itself, up where that breaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from saccade.controller.arguments import check_float, check_fraction, check_int, check_sequence
from saccade.controller.plan import Drop, Plan
from saccade.controller.policies.climb import Climb
from saccade.controller.policy import BasePolicy, DefaultPruner, Watch
from saccade.controller.reasons import compared
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import StepState

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
    surge: float = tunable(0.2, 0.01, 0.5, "probability", log=True)
    fall: float = tunable(0.1, 0.01, 0.5, "probability", log=True)
    rebound: float = tunable(0.1, 0.01, 0.5, "attention mass", log=True)
    stall: int = tunable(4, 2, 16, "steps", log=True)
    retry: int = tunable(8, 1, 32, "steps", log=True)
    layer: int = 0
    _state: Climb = field(init=False, repr=False, compare=False)

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
        self._state = Climb()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Move at most one rung, and keep to it."""
        climb, before = self._state, self._state.rung
        climb.see(signals)
        missed = self._missed(climb) if climb.rung else ""
        barred, reason = ("", missed) if missed else self._weigh(climb, state)
        if missed:
            climb.up(state.step)
        elif not barred:
            climb.down(state.step, self.ladder[climb.rung + 1])
        if climb.rung != before or climb.plan.reselect:
            drops = (Drop(self.layer, self.ladder[climb.rung]),) if climb.rung else ()
            climb.plan = Plan(drops, reselect=climb.rung > before and climb.rung in climb.failed)
        return climb.plan.because(self._told(climb, before, barred or reason))

    def _told(self, climb: Climb, before: int, reason: str) -> str:
        """Why it moves, and from how many tokens to how many; or why it stays."""
        then, now = (climb.count(self.ladder[rung]) for rung in (before, climb.rung))
        if climb.rung == before:
            return f"{now} tokens stay: {reason}"
        return f"{reason}: {then} -> {now} tokens"

    def _weigh(self, climb: Climb, state: StepState) -> tuple[str, str]:
        """Why the next rung down may not be taken, "" if it may; and why it may."""
        if climb.rung + 1 >= len(self.ladder):
            return "it is the lowest rung", ""
        if state.step < self.warmup:
            return f"step {state.step} < warmup {self.warmup}", ""
        if climb.moved is not None and state.step - climb.moved < self.every:
            return f"{state.step - climb.moved} steps since the last move < every {self.every}", ""
        failed = climb.failed.get(climb.rung + 1)
        if failed is not None and state.step - failed < self.retry:
            return f"{state.step - failed} steps since that rung failed < retry {self.retry}", ""
        barred, sure = self._surge(climb)
        if barred:
            return barred, ""
        cover = climb.covered(self.ladder[climb.rung + 1])
        if cover < self.cover:
            return compared("cover", cover, "<", self.cover), ""
        return "", f"{compared('cover', cover, '>=', self.cover)}, {sure}"

    def _surge(self, climb: Climb) -> tuple[str, str]:
        """Why the answer is not sure enough, "" if it is; and why it is."""
        risen = climb.answer_rise()
        if self.rise and (risen is None or risen < self.rise):
            return compared("attention to the answer rose by", risen or 0.0, "<", self.rise), ""
        confidence, lowest = climb.confidence, climb.lowest_confidence
        if confidence is None or lowest is None:
            return "no confidence is known yet", ""
        if confidence >= self.sure:
            return "", compared("confidence", confidence, ">=", self.sure)
        gained = confidence - lowest
        if gained >= self.surge:
            return "", compared("confidence rose by", gained, ">=", self.surge)
        low = compared("confidence", confidence, "<", self.sure)
        return f"{low}, {compared('risen by', gained, '<', self.surge)}", ""

    def _missed(self, climb: Climb) -> str:
        """Why what was dropped is missed; "" if it is not."""
        lost = climb.lost()
        if lost > self.fall:
            return compared("a position lost confidence", lost, ">", self.fall, "fall")
        if climb.confidence is None or climb.confidence >= self.sure:
            return ""
        unsure = compared("confidence", climb.confidence, "<", self.sure)
        if climb.stalled >= self.stall:
            return f"{unsure}, {climb.stalled} steps without a gain >= stall {self.stall}"
        rebound = climb.picture_rise()
        if rebound is not None and rebound > self.rebound:
            rose = compared("attention to the picture rose by", rebound, ">", self.rebound)
            return f"{unsure}, {rose}"
        return ""
