"""What a search is for: less cost, and how much score it may take."""

from dataclasses import asdict, dataclass
from typing import Any

from saccade.controller.arguments import check_bool, check_fraction, check_int
from saccade.controller.names import not_allowed

SAMPLERS = ("tpe", "nsga2", "gp")
OBJECTIVES = ("cost", "latency")
FLAT = ("nsga2", "gp")
"""Samplers that want the same parameters in every trial."""
LEAST = 0.8
"""Share of the unpruned score below which a setting is of no interest to a front either."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is optimised.

    Attributes
    ----------
    max_drop : float
        Share of the unpruned score that may be lost, in [0, 1].
    front : bool
        Two objectives, score and cost, instead of cost under the constraint of the score.
    sampler : "tpe", "nsga2" or "gp"
    objective : "cost" or "latency"
        Exact multiply-accumulates, or measured time; both relative to the unpruned model.
    seed : int
    """

    max_drop: float = 0.01
    front: bool = False
    sampler: str = "tpe"
    objective: str = "cost"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fraction("max_drop", self.max_drop)
        check_bool("front", self.front)
        check_int("seed", self.seed)
        if self.sampler not in SAMPLERS:
            raise ValueError(not_allowed("sampler", self.sampler, SAMPLERS))
        if self.objective not in OBJECTIVES:
            raise ValueError(not_allowed("objective", self.objective, OBJECTIVES))

    def floor(self, bare: float) -> float:
        """The least score that is allowed, from the unpruned one."""
        return bare - abs(bare) * self.max_drop

    def racing_floor(self, bare: float) -> float:
        """The least score with which a trial is worth going on."""
        return min(self.floor(bare), LEAST * bare) if self.front else self.floor(bare)

    @property
    def flat(self) -> bool:
        """Whether every trial has all parameters, those without effect in it, too."""
        return self.sampler in FLAT

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
