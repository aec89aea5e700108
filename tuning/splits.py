"""Three sets of samples that share none: to tune on, to certify on, and to report on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from saccade.controller.arguments import check_int
from saccade.controller.names import not_allowed

SPLITS = ("tune", "certify", "test")
"""What each set is for: the search, the promise about changed answers, the figures reported."""
SHARES = (0.4, 0.3, 0.3)
"""Of the questions of a file, by split."""
APART = 1_000_000
"""Samples between the first ones of two splits, where a task draws as many as one asks for; those
of studies, which begin at 0, are in none of them."""


class Scored(Protocol):
    """Scores of one answer; `score` is the main metric, higher is better."""

    @property
    def score(self) -> float: ...


class Sample(Protocol):
    """One question about some pictures, with its right answer."""

    @property
    def index(self) -> int: ...

    @property
    def question(self) -> str: ...

    @property
    def images(self) -> Sequence[Image.Image]: ...

    @property
    def answer(self) -> str: ...

    def score(self, text: str) -> Scored: ...


class Task(Protocol):
    """What gives samples; see `saccade.studies.tasks.Task`."""

    @property
    def name(self) -> str: ...

    @property
    def n_samples(self) -> int | None: ...

    def samples(self, indices: Sequence[int], seed: int = 0) -> Sequence[Any]: ...


def split_samples(task: Task, split: str, n: int, seed: int = 0) -> list[Sample]:
    """The first `n` samples of one of the `SPLITS`; the same arguments give the same samples.

    Where a task draws its samples, each split has a range of their numbers. Where it has so many
    and no more, they are shuffled by the seed and cut into 40, 30 and 30 %; those that share a
    picture (or, without one, the question) are in the same split, so that nothing leaks.

    Parameters
    ----------
    task : Task
    split : str
        One of `SPLITS`.
    n : int
        From 1.
    seed : int
        Of the shuffle, and of the task's own samples.

    Raises
    ------
    ValueError
        For an unknown split, numbers out of range, or more samples than the split has.
    """
    indices = split_indices(task, split, seed)
    if check_int("n", n, 1) > len(indices):
        raise ValueError(
            f"n={n}: the {split} split of the task {task.name!r} has {len(indices)} samples; give "
            "as many or fewer, or a task of more questions"
        )
    return list(task.samples([indices[i] for i in range(n)], seed=seed))


def split_indices(task: Task, split: str, seed: int = 0) -> Sequence[int]:
    """Numbers of all samples of a split, in its order; errors as `split_samples`."""
    if split not in SPLITS:
        raise ValueError(not_allowed("split", split, SPLITS))
    check_int("seed", seed)
    place = SPLITS.index(split)
    if task.n_samples is None:
        return range((place + 1) * APART, (place + 2) * APART)
    return _cut(linked(task.samples(range(task.n_samples), seed=seed)), seed)[place]


def _cut(groups: list[list[int]], seed: int) -> tuple[list[int], list[int], list[int]]:
    """Shuffle groups, and give each to the split that lacks most of its share by then."""
    order = np.random.default_rng(seed).permutation(len(groups))
    total = sum(map(len, groups))
    out: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number in order:
        lacks = [share * total - len(own) for share, own in zip(SHARES, out, strict=True)]
        out[lacks.index(max(lacks))].extend(groups[number])
    return out


def linked(samples: Sequence[Sample]) -> list[list[int]]:
    """Places of samples that share a picture, or have none and ask the same; in order."""
    leader: dict[int, int] = {}

    def first(place: int) -> int:
        while leader[place] != place:
            place = leader[place]
        return place

    seen: dict[str, int] = {}
    for place, sample in enumerate(samples):
        leader[place] = place
        for key in _keys(sample):
            one, other = sorted((first(place), first(seen.setdefault(key, place))))
            leader[other] = one
    found: dict[int, list[int]] = {}
    for place in leader:
        found.setdefault(first(place), []).append(place)
    return list(found.values())


def _keys(sample: Sample) -> list[str]:
    """What a sample may share with another: its pictures by their content, else its question."""
    paths: Sequence[Path] | None = getattr(sample, "paths", None)
    if paths is not None:  # whose pictures need not be decoded
        found = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    else:
        found = [_picture_key(image) for image in sample.images]
    return found or [f"question {sample.question.strip()}"]


def _picture_key(image: Image.Image) -> str:
    head = f"{image.mode} {image.size}".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()
