"""The study's own progressive pruning: after each quarter of the steps, a quarter less."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.arguments import check_fraction, check_sequence
from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy, DefaultPruner
from saccade.controller.signals import Signals
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class Cumulative(BasePolicy):
    """After a share of the steps, the same share of the visual tokens is gone.

    Parameters
    ----------
    shares : sequence of float
        Shares of the steps, ascending. One that is not a whole number of
        steps is passed over, as in the published code.

    Raises
    ------
    ValueError
        If the shares do not ascend within 0 to 1.

    Notes
    -----
    The progressive scheme in the code of arXiv 2511.15098 (off as shipped), with its pruner
    ``redundant``. Steps are counted through all blocks. The step after which tokens go still
    commits with all that were there before.
    """

    shares: Sequence[float] = (0.25, 0.5, 0.75)

    default_pruner: ClassVar[DefaultPruner] = ("redundant", {})
    """The pruner that chooses where none is given."""

    def __post_init__(self) -> None:
        given = tuple(check_fraction("a share", s) for s in check_sequence("shares", self.shares))
        if not given or any(b <= a for a, b in zip(given, given[1:], strict=False)):
            raise ValueError(f"shares={self.shares!r}: give one or more, ascending")
        self.shares = given

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """Every stage."""
        return frozenset(Drop(0, 1 - s) for s in self.shares)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Keep what the last share that is done leaves."""
        stages = [s * state.n_steps for s in self.shares]
        done = [round(k) for k in stages if abs(k - round(k)) < 1e-9 and round(k) <= state.step]
        gone = max(done, default=0) / state.n_steps
        return Plan((Drop(0, 1 - gone),)) if gone else Plan()
