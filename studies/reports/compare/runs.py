"""A run as the report shows it: its name there, its rows, and its pairs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.controller.errors import StudyError
from saccade.controller.names import unknown_name
from saccade.studies.analysis.pairs import Pair, Pairs, pairs_of
from saccade.studies.analysis.summary import Row, Summary
from saccade.studies.tasks.answer_classes import answer_class


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run of one model.

    Attributes
    ----------
    label : str
        Unlike that of any other run of the report.
    folder : Path
    summary : Summary
    rows : list of Row
        Of the summary.
    pairs : Pairs
        Against the pinned baseline.
    """

    label: str
    folder: Path
    summary: Summary
    rows: list[Row]
    pairs: Pairs

    @property
    def tasks(self) -> list[str]:
        """Those with rows, in the study's order."""
        return list(dict.fromkeys(row["task"] for row in self.rows))

    def pair(self, case: str, task: str) -> Pair | None:
        """A case's pair on a task."""
        return next((p for p in self.pairs.rows if (p.case, p.task) == (case, task)), None)

    def gen_length(self, case: str, task: str) -> Any:
        """Canvas of a case on a task."""
        own = next(one for one in self.summary.config.cases if one.name == case)
        return (self.summary.recipe["settings"].get(task, {}) | own.settings).get("gen_length")

    def task_class(self, task: str) -> str:
        """The class of a task's answers; of one token a step, by their length."""
        own = self.summary.recipe["settings"].get(task, {})
        return answer_class(own.get("steps") or own.get("gen_length") or 0)


def make_runs(found: Sequence[tuple[Path, Summary]], baseline: str | None = None) -> list[Run]:
    """Runs with their pairs; those that lack the pinned baseline are compared with their own.

    Raises
    ------
    StudyError
        If no run has the baseline.
    """
    names = [case.name for _, summary in found for case in summary.config.cases]
    if baseline is not None and baseline not in names:
        known = list(dict.fromkeys(names))
        raise StudyError(f"--baseline: {unknown_name('case', baseline, known)}")
    runs, labels = [], _labels(found)
    for label, (folder, summary) in zip(labels, found, strict=True):
        has = any(case.name == baseline for case in summary.config.cases)
        pairs = pairs_of(summary, baseline if has else None)
        runs.append(Run(label, folder, summary, summary.rows(), pairs))
    return runs


def _labels(found: Sequence[tuple[Path, Summary]]) -> list[str]:
    plain = [f"{own.config.name} · {own.config.model}" for _, own in found]
    labels: list[str] = []
    for name, (folder, _) in zip(plain, found, strict=True):
        same = [own for label, (own, _) in zip(plain, found, strict=True) if label == name]
        unique = name if len(same) == 1 else f"{name} · {_apart(folder, same)}"
        labels.append(unique if unique not in labels else f"{unique} ({len(labels) + 1})")
    return labels


def _apart(folder: Path, folders: Sequence[Path]) -> str:
    """Of a folder's path what the others do not begin with; all of it where nothing is left."""
    shared = Path(os.path.commonpath([own.resolve().parent for own in folders]))
    own = folder.resolve()
    return str(own.relative_to(shared) if own != shared else folder)
