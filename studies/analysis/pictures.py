"""Which samples of a run share a picture: their answers may depend on each other."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from saccade.controller.errors import SaccadeError
from saccade.studies.analysis.summary import Summary
from saccade.studies.tasks.question_files import QuestionFile
from saccade.tuning.splits import linked

Key = tuple[int, int]
"""Seed and index of a sample."""


def picture_clusters(
    summary: Summary, task: str, keys: Sequence[Key]
) -> tuple[list[int], str | None]:
    """A number for the picture of each sample, and what is not known about them.

    A document has one question, so each of its samples is a picture of its own. Questions of a file
    are the same for every seed, and those that share a picture are one cluster.

    Returns
    -------
    clusters : list of int
        One for each of the keys.
    problem : str or None
        Why the pictures of a file cannot be told apart; its questions count as pictures then.
    """
    own = next((one for one in summary.config.benchmarks if one.name == task), None)
    if own is None:
        return list(range(len(keys))), None
    index = {sample: sample for _, sample in keys}
    try:
        index |= _linked(own, summary.recipe.get("benchmarks", {}).get(task, {}).get("sha256"))
        problem = None
    except (SaccadeError, OSError, ValueError) as error:
        problem = (
            f"the questions of {task} cannot be read ({error}); each counts as a picture of its "
            "own, so that intervals may be too narrow"
        )
    return [index[sample] for _, sample in keys], problem


@lru_cache(maxsize=16)
def _linked(file: QuestionFile, sha256: str | None) -> dict[int, int]:
    """The first question with the same picture, of every question of a file."""
    if sha256 is not None and _hash(file.file) != sha256:
        raise ValueError(f"{file.file} has changed since")
    groups = linked(file.items())
    return {place: group[0] for group in groups for place in group}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
