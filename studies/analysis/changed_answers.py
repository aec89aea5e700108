"""Which recorded answers of a study differ from the unpruned model's, and at what cost."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.controller.errors import StudyError
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import load_records

LEAST = 50
"""Samples of a task below which nothing is drawn from it."""
Key = tuple[int, int]


def changed_answers(folder: Path) -> dict[str, tuple[NDArray[np.float64], list[float]]]:
    """Of each task with enough samples: whether answers changed (cases, samples), and mean costs.

    The unpruned case is the one that reads all visual tokens in every step at the most work; costs
    are exact multiply-accumulates relative to its.

    Raises
    ------
    StudyError
        If no task has `LEAST` samples that all cases answered.
    """
    by_task: dict[str, dict[str, dict[Key, Record]]] = {}
    for record in load_records(folder):
        cases = by_task.setdefault(record.task, {})
        cases.setdefault(record.case, {})[record.seed, record.sample] = record
    found = {task: _table(cases) for task, cases in by_task.items()}
    kept = {task: table for task, table in found.items() if table[0].shape[1] >= LEAST}
    if not kept:
        raise StudyError(f"{folder}: no task has {LEAST} samples that all cases answered")
    return kept


def _table(cases: dict[str, dict[Key, Record]]) -> tuple[NDArray[np.float64], list[float]]:
    shared = sorted(set.intersection(*(set(own) for own in cases.values())))
    if not shared:
        return np.zeros((0, 0)), []
    work = {name: sum(_macs(own[key]) for key in shared) for name, own in cases.items()}
    whole = [
        name for name, own in cases.items() if all(own[k].visual_tokens_ratio == 1 for k in shared)
    ]
    bare = max(whole or cases, key=work.__getitem__)
    others = [name for name in cases if name != bare]
    changed = [[float(cases[n][k].answer != cases[bare][k].answer) for k in shared] for n in others]
    return np.array(changed), [work[name] / work[bare] for name in others]


def _macs(record: Record) -> int:
    return record.macs + record.prepare_macs
