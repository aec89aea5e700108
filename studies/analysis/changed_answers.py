"""Which recorded answers of a study differ from the unpruned model's, and at what cost."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.controller.errors import StudyError
from saccade.studies.runs.model_folders import run_folders
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import read_run

LEAST = 50
"""Samples of a task below which nothing is drawn from it."""
Key = tuple[int, int]


def changed_answers(folder: Path) -> dict[str, tuple[NDArray[np.float64], list[float]]]:
    """Of each model and task with enough samples: whether answers changed (cases, samples), and the
    mean costs of the cases, in exact multiply-accumulates relative to the baseline's.

    Raises
    ------
    StudyError
        If the folder holds no run, or no task has `LEAST` samples that all its cases answered.
    """
    found = {}
    for run in run_folders(folder):
        _, config, records = read_run(run)
        by_task: dict[str, dict[str, dict[Key, Record]]] = {}
        for record in records:
            cases = by_task.setdefault(record.task, {})
            cases.setdefault(record.case, {})[record.seed, record.sample] = record
        for task, cases in by_task.items():
            found[f"{config.model}, {task}"] = _table(cases, config.baseline)
    kept = {name: table for name, table in found.items() if table[0].shape[1] >= LEAST}
    if not kept:
        raise StudyError(f"{folder}: no task has {LEAST} samples that all its cases answered")
    return kept


def _table(
    cases: dict[str, dict[Key, Record]], baseline: str
) -> tuple[NDArray[np.float64], list[float]]:
    shared = sorted(set.intersection(*(set(own) for own in cases.values())))
    if not shared or baseline not in cases:
        return np.zeros((0, 0)), []
    bare = cases[baseline]
    others = [own for name, own in cases.items() if name != baseline]
    changed = [[float(own[k].answer != bare[k].answer) for k in shared] for own in others]
    whole = sum(_macs(bare[key]) for key in shared)
    return np.array(changed), [sum(_macs(own[key]) for key in shared) / whole for own in others]


def _macs(record: Record) -> int:
    return record.macs + record.prepare_macs
