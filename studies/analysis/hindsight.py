"""What hindsight could have chosen: the upper limit of a study's cases, and how near each comes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.controller.errors import StudyError
from saccade.controller.names import unknown_name
from saccade.studies.analysis.summary import Summary
from saccade.studies.runs.record import Record
from saccade.tuning.result import area

Floats = NDArray[np.float64]
DRAWS = 2000
"""Resamplings of the samples that an interval is made of."""
CONFIDENCE = 0.95
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and its 95 % interval by resampling the samples; NaN: not defined."""

    value: float
    low: float
    high: float

    def plain(self) -> dict[str, float | None]:
        """As JSON has it."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: own if math.isfinite(own) else None for name, own in named.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """A case on a task.

    Attributes
    ----------
    case, group : str
    relative : float
        Its score as a share of the baseline's.
    cost : Estimate
        Multiply-accumulates, tower and projector included, as a share of the baseline's.
    changed : float
        Share of its answers whose text is not the baseline's.
    allowed : bool
        Whether it loses no more of the score than is allowed.
    closed : Estimate
        Share of the distance from the best fixed schedule to the oracle, in cost, that it closes: 1
        is the oracle. NaN where there is no such schedule.
    """

    case: str
    group: str
    relative: float
    cost: Estimate
    changed: float
    allowed: bool
    closed: Estimate


@dataclass(frozen=True, slots=True)
class Front:
    """What the cases of a group dominate together, on a task.

    Attributes
    ----------
    group : str
    area : Estimate
        See `saccade.tuning.result.area`.
    gain : Estimate
        That of the group less that of the reference, on the same samples.
    """

    group: str
    area: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True)
class Hindsight:
    """A task of a study, looked back on.

    Attributes
    ----------
    task : str
    n : int
        Samples.
    best_fixed : str or None
        The cheapest allowed case of the fixed group, chosen on these very samples, which favours
        it; None: none is allowed, not even cheaper than the baseline.
    oracle : Line
        By sample the cheapest of all cases that scores no less than the baseline does on it.
    lines : tuple of Line
        All cases but the baseline.
    fronts : tuple of Front
        One for each group.
    """

    task: str
    n: int
    best_fixed: str | None
    oracle: Line
    lines: tuple[Line, ...]
    fronts: tuple[Front, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""

        def line(own: Line) -> dict[str, Any]:
            return {
                "case": own.case,
                "group": own.group,
                "score_relative": own.relative,
                "cost": own.cost.plain(),
                "changed": own.changed,
                "allowed": own.allowed,
                "closed": own.closed.plain(),
            }

        return {
            "task": self.task,
            "n": self.n,
            "best_fixed": self.best_fixed,
            "oracle": line(self.oracle),
            "cases": [line(own) for own in self.lines],
            "fronts": [
                {"group": own.group, "area": own.area.plain(), "gain": own.gain.plain()}
                for own in self.fronts
            ],
        }


def look_back(
    summary: Summary, fixed: str = "fixed", reference: str = "default", max_drop: float = 0.01
) -> list[Hindsight]:
    """Look back on a study of one model, task by task.

    Parameters
    ----------
    summary : Summary
    fixed, reference : str
        Groups of cases: the fixed schedules, and that whose front the others are compared with.
    max_drop : float
        Share of the baseline's score that may be lost, in [0, 1].

    Raises
    ------
    StudyError
        If there are no records, or no such groups.
    """
    groups = list(dict.fromkeys(case.group for case in summary.config.cases if case.group))
    for name in (fixed, reference):
        if name not in groups:
            raise StudyError(unknown_name("group of cases", name, groups))
    if not summary.records:
        raise StudyError("nothing is answered yet")
    tasks = dict.fromkeys(record.task for record in summary.records)
    return [_Task(summary, task, fixed, max_drop).look(groups, reference) for task in tasks]


class _Task:
    """Scores and work (C, N) of a task's cases, the baseline first, and resamplings of them."""

    def __init__(self, summary: Summary, task: str, fixed: str, max_drop: float) -> None:
        config = summary.config
        own = [record for record in summary.records if record.task == task]
        rest = [case.name for case in config.cases if case.name != config.baseline]
        names = [config.baseline, *rest]
        self.task, self.max_drop = task, max_drop
        by_case = {name: _sorted(own, name) for name in names}
        self.names = [name for name in names if by_case[name]]
        groups = {case.name: case.group or "" for case in config.cases}
        self.groups = [groups[name] for name in self.names]
        self.fixed = [i for i, group in enumerate(self.groups) if group == fixed]
        self.score = np.array([[r.score for r in by_case[name]] for name in self.names])
        self.macs = np.array(
            [[float(r.macs + r.prepare_macs) for r in by_case[name]] for name in self.names]
        )
        self.n = self.score.shape[1]
        said = [[r.answer for r in by_case[name]] for name in self.names]
        self.differs = np.array(
            [[a != b for a, b in zip(own, said[0], strict=True)] for own in said]
        )
        rng = np.random.default_rng(0)
        # The samples themselves first, then resamplings of them.
        drawn = rng.multinomial(self.n, np.full(self.n, 1 / self.n), size=DRAWS)
        counts = np.vstack([np.ones(self.n), drawn])
        self.relative = _over(counts @ self.score.T, counts @ self.score[0])
        self.cost = _over(counts @ self.macs.T, counts @ self.macs[0])
        self.best = self._oracle()
        score, macs = self._taken(self.score), self._taken(self.macs)
        self.oracle_relative = _over(counts @ score, counts @ self.score[0])
        self.oracle_cost = _over(counts @ macs, counts @ self.macs[0])

    def _oracle(self) -> NDArray[np.int64]:
        """The cheapest case (N,) of each sample that scores no less than the baseline there."""
        allowed = self.score >= self.score[0] - EPSILON
        return np.asarray(np.where(allowed, self.macs, np.inf).argmin(axis=0))

    def _taken(self, values: NDArray[Any]) -> Floats:
        """What the oracle's choices have (N,) of values (C, N)."""
        return np.asarray(values[self.best, np.arange(self.n)], float)

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Of every resampling and case, whether it loses no more than is allowed."""
        return self.relative >= 1 - self.max_drop - EPSILON

    def look(self, groups: Sequence[str], reference: str) -> Hindsight:
        """All of it."""
        best = self._best_fixed()
        lines = [self._line(place) for place in range(1, len(self.names))]
        oracle = Line(
            "oracle",
            "oracle",
            float(self.oracle_relative[0]),
            _estimate(self.oracle_cost),
            float(self._taken(self.differs).mean()),
            True,
            self._closed(self.oracle_cost),
        )
        areas = {group: self._areas(group) for group in groups}
        fronts = [
            Front(group, _estimate(own), _estimate(own - areas[reference]))
            for group, own in areas.items()
        ]
        return Hindsight(self.task, self.n, best, oracle, tuple(lines), tuple(fronts))

    def _line(self, place: int) -> Line:
        cost = self.cost[:, place]
        return Line(
            self.names[place],
            self.groups[place],
            float(self.relative[0, place]),
            _estimate(cost),
            float(self.differs[place].mean()),
            bool(self.allowed[0, place]),
            self._closed(cost),
        )

    def _fixed_costs(self) -> Floats:
        """Cost (B,) of the best fixed schedule, chosen anew in every resampling; the baseline's
        where none is allowed."""
        costs = np.where(self.allowed[:, self.fixed], self.cost[:, self.fixed], 1.0)
        return np.asarray(costs.min(axis=1))

    def _best_fixed(self) -> str | None:
        costs = np.where(self.allowed[0, self.fixed], self.cost[0, self.fixed], np.inf)
        place = int(costs.argmin())
        return self.names[self.fixed[place]] if costs[place] < 1 else None

    def _closed(self, cost: Floats) -> Estimate:
        start = self._fixed_costs()
        return _estimate(_over(start - cost, start - self.oracle_cost))

    def _areas(self, group: str) -> Floats:
        members = [i for i, own in enumerate(self.groups) if own == group]
        pairs = zip(self.relative[:, members], self.cost[:, members], strict=True)
        return np.array([area(relative.tolist(), cost.tolist()) for relative, cost in pairs])


def _sorted(records: Sequence[Record], case: str) -> list[Record]:
    own = [record for record in records if record.case == case]
    return sorted(own, key=lambda record: (record.seed, record.sample))


def _over(values: Floats, by: Floats) -> Floats:
    """Values (B, ...) by numbers (B,); NaN where these are 0."""
    shape = (len(by),) + (1,) * (values.ndim - 1)
    divisor = np.where(by == 0, np.nan, by).reshape(shape)
    return np.asarray(values / divisor)


def _estimate(values: Floats) -> Estimate:
    """The first value, and the interval of the others."""
    tail = (1 - CONFIDENCE) / 2
    if not bool(np.isfinite(values).all()):
        return Estimate(float(values[0]), math.nan, math.nan)
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high))
