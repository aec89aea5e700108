"""Every case of a run against one of its cases, on the same samples: what changed, and how sure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from saccade.controller.errors import StudyError
from saccade.controller.names import unknown_name
from saccade.studies.analysis.methods import defined
from saccade.studies.analysis.paired import paired_speedup
from saccade.studies.analysis.pictures import Key, picture_clusters
from saccade.studies.analysis.significance import clustered_change, least_effect
from saccade.studies.analysis.summary import Summary
from saccade.studies.runs.record import Record


@dataclass(frozen=True, slots=True)
class Pair:
    """A case against the pinned baseline, on one task. NaN: not defined.

    Attributes
    ----------
    case, task : str
    n, pictures : int
        Samples, and pictures, which are what chance is reckoned over.
    change, change_low, change_high : float
        Mean change of the score, and its 95 % interval.
    p_value : float
        Exact, two-sided: McNemar's test where answers are `right_or_wrong`, else the sign test.
    right_or_wrong : bool
        Whether all scores of the task are 0 or 1.
    worse, better : int
        Pictures with a lower and a higher score.
    broke, fixed : int
        Answers that score less, and more, than the unpruned model's.
    flip_rate : float
        Share of the answers that broke or were fixed.
    changed : float
        Share of the answers whose text is not the unpruned model's.
    least_effect : float
        The least mean change that so many pictures would have shown.
    speedup, speedup_low, speedup_high : float
        Measured, over the pinned baseline's time.
    """

    case: str
    task: str
    n: int
    pictures: int
    change: float
    change_low: float
    change_high: float
    p_value: float
    right_or_wrong: bool
    worse: int
    better: int
    broke: int
    fixed: int
    flip_rate: float
    changed: float
    least_effect: float
    speedup: float
    speedup_low: float
    speedup_high: float

    def plain(self) -> dict[str, Any]:
        """As JSON has it, None where not defined."""
        values = asdict(self)
        return {k: defined(v) if isinstance(v, float) else v for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a run, what they are compared with, and what is not known about them."""

    baseline: str
    rows: tuple[Pair, ...]
    problems: tuple[str, ...]


def pairs_of(summary: Summary, baseline: str | None = None) -> Pairs:
    """Compare every case with the pinned `baseline`, or with the run's own; in the run's order.

    Raises
    ------
    StudyError
        If the run has no such case.
    """
    names = [case.name for case in summary.config.cases]
    pinned = summary.config.baseline if baseline is None else baseline
    if pinned not in names:
        raise StudyError(unknown_name("case", pinned, names))
    rows, problems = [], []
    for task, cases in records_by_task(summary).items():
        shared = sorted(set.intersection(*map(set, cases.values())))
        clusters, problem = picture_clusters(summary, task, shared)
        problems += [] if problem is None else [problem]
        if pinned in cases and summary.config.baseline in cases and shared:
            bare, against = cases[summary.config.baseline], cases[pinned]
            owns = [cases[name] for name in names if name in cases]
            rows += [_pair(own, against, bare, shared, clusters) for own in owns]
    return Pairs(pinned, tuple(rows), tuple(problems))


def compare_cases(summary: Summary, case: str, baseline: str) -> Pairs:
    """One case against another, a pair for each task that both have answered.

    What broke and was fixed, and whose text changed, is counted against that baseline, whatever the
    run's own is.
    """
    rows, problems = [], []
    for task, cases in records_by_task(summary).items():
        if case in cases and baseline in cases:
            own, against = cases[case], cases[baseline]
            shared = sorted(own.keys() & against.keys())
            clusters, problem = picture_clusters(summary, task, shared)
            problems += [] if problem is None else [problem]
            rows.append(_pair(own, against, against, shared, clusters))
    return Pairs(baseline, tuple(rows), tuple(problems))


def records_by_task(summary: Summary) -> dict[str, dict[str, dict[Key, Record]]]:
    """Records by task, in the study's order, then by case, seed and sample."""
    tables: dict[str, dict[str, dict[Key, Record]]] = {}
    for record in summary.records:
        cases = tables.setdefault(record.task, {})
        cases.setdefault(record.case, {})[record.seed, record.sample] = record
    return {task: tables[task] for task in summary.config.tasks if task in tables}


def _pair(
    own: Mapping[Key, Record],
    against: Mapping[Key, Record],
    bare: Mapping[Key, Record],
    keys: Sequence[Key],
    clusters: Sequence[int],
) -> Pair:
    scores, pinned = _scores(own, keys), _scores(against, keys)
    unpruned = _scores(bare, keys)
    change = clustered_change(scores - pinned, clusters)
    binary = bool(np.isin([scores, pinned, unpruned], (0.0, 1.0)).all())
    broke, fixed = int((scores < unpruned).sum()), int((scores > unpruned).sum())
    different = sum(own[key].answer != bare[key].answer for key in keys)
    speedup, low, high = paired_speedup(_seconds(against), _seconds(own))
    first = own[keys[0]]
    return Pair(
        first.case,
        first.task,
        len(keys),
        change.clusters,
        change.value,
        change.low,
        change.high,
        change.p_value,
        binary,
        change.worse,
        change.better,
        broke,
        fixed,
        (broke + fixed) / len(keys),
        different / len(keys),
        least_effect(change, _step(scores - pinned, binary)),
        speedup,
        low,
        high,
    )


def _scores(records: Mapping[Key, Record], keys: Sequence[Key]) -> Any:
    return np.array([records[key].score for key in keys])


def _step(changes: Any, binary: bool) -> float:
    """How much an answer changes if it does: 1 of those that are right or wrong; else what was
    seen, or 1 where nothing changed."""
    moved = np.abs(changes[changes != 0])
    return 1.0 if binary or not len(moved) else float(moved.mean())


def _seconds(records: Mapping[Key, Record]) -> dict[int, float]:
    """Seconds per sample of each unit, preparation included; all samples of a unit share them."""
    found = {one.unit: one.seconds + one.prepare_seconds for one in records.values()}
    return found if found else {0: math.nan}
