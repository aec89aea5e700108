"""The configuration of a study as people write it: its cases, its tasks, and their units."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saccade.controller.expressions import (
    Described,
    describe_policy,
    describe_pruner,
    is_none,
)
from saccade.controller.names import not_allowed
from saccade.controller.session import Positions
from saccade.studies.config.older import text_of_mapping
from saccade.studies.tasks.documents import KINDS
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.registry import tasks
from saccade.studies.tasks.task import Task

PLACES = ("model", "task")
"""What the name of a preset may leave open, in braces."""


class Case(BaseModel):
    """One configuration of the controller.

    Attributes
    ----------
    name : str
        As the results show it; unique in its study.
    policy : str or None
        As text, see `parse_policy`; None (or "none") runs the bare model, without a controller.
    pruner : str or None
        As text; None (or "none") for policies that never drop.
    settings : dict
        Options of the model's `generate` that differ from those of the task.
    positions : "original" or "compact"
        As in `Controller`.
    probe : "needed" or "all"
        As in `Controller`. With "all" its records hold what was measured.
    models : tuple of str
        Which models of the study it runs on; all without any.
    method, group : str or None
        Its row and its part of a table of methods; both or neither.
    preset : str or None
        Instead of a policy: the file of a preset, relative to the study's, or its name. ``{model}``
        and ``{task}`` in it stand for those that it answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    policy: str | None = None
    pruner: str | None = None
    settings: dict[str, Any] = {}
    positions: Positions = "original"
    probe: Literal["needed", "all"] = "needed"
    models: tuple[str, ...] = ()
    method: str | None = None
    group: str | None = None
    preset: str | None = Field(default=None, min_length=1)

    @field_validator("preset")
    @classmethod
    def _places(cls, value: str | None) -> str | None:
        for own in re.findall(r"\{([^{}]*)\}", value or ""):
            if own not in PLACES:
                raise ValueError(not_allowed("a place in the preset's name", own, PLACES))
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = [n for n in ("policy", "pruner") if getattr(self, n) is not None]
        given += [] if self.positions == "original" else ["positions"]
        if self.preset is not None and given:
            raise ValueError(f"preset and {given[0]}: a preset says what it does itself; give one")
        return self

    @field_validator("policy", "pruner", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """What recipes from before there was a text form hold becomes text; "none" is nothing."""
        text = text_of_mapping(value) if isinstance(value, Mapping) else value
        return None if is_none(text) else text

    @property
    def bare(self) -> bool:
        """Whether it runs the bare model."""
        return self.policy is None and self.preset is None

    @property
    def policy_call(self) -> Described | None:
        """Name and options of the policy."""
        return None if self.policy is None else describe_policy(self.policy)

    @property
    def pruner_call(self) -> Described | None:
        """Name and options of the pruner."""
        return None if self.pruner is None else describe_pruner(self.pruner)


class StudyConfig(BaseModel):
    """A study: every case answers the same samples of every task.

    Attributes
    ----------
    name : str
    model : str
        What `saccade.load` takes.
    seed : int
        Of the samples and of everything drawn at random.
    seeds : tuple of int
        Several instead of `seed`: each has samples of its own, and scores vary between them.
    samples : int
        Per task and seed.
    batch : int
        Samples that are answered together.
    tasks : tuple of str
        Names of registered tasks or of `benchmarks`, in the order they run.
    baseline : str
        Name of the case all others are compared with; it has no policy.
    cases : tuple of Case
    models : tuple of str
        Several models instead of `model`: each runs its cases and is compared with itself.
    benchmarks : tuple of QuestionFile
        Files of questions that can be tasks too; their paths are relative to the study's file.
    split : "tune", "certify", "test" or None
        Of which set the samples are, as `saccade.tuning.splits` makes them; None: those of studies,
        which begin at 0.
    folder : Path or None
        Where the study's file lies; presets are looked for from there.
    takes : str or None
        About how long it takes, which is told before it starts.
    grown : tuple of int
        Samples it had before, ascending, if a run of it was extended: what was answered then keeps
        its batches. A run writes this into its recipe; no study needs it.
    sizes : dict of str to int
        Samples of tasks that have another number than `samples`, as benchmarks do. Runs write this,
        too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    model: str = "embedded/llada-v"
    seed: int = Field(default=0, ge=0, strict=True)
    samples: int = Field(default=48, ge=1, strict=True)
    batch: int = Field(default=16, ge=1, strict=True)
    tasks: tuple[str, ...] = Field(default=tuple(KINDS), min_length=1)
    baseline: str = "none"
    cases: tuple[Case, ...] = Field(min_length=1)
    models: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    benchmarks: tuple[QuestionFile, ...] = ()
    split: Literal["tune", "certify", "test"] | None = None
    folder: Path | None = Field(default=None, exclude=True)
    takes: str | None = Field(default=None, exclude=True)
    grown: tuple[int, ...] = ()
    sizes: dict[str, int] = {}

    @model_validator(mode="after")
    def _grew(self) -> Self:
        counts = [0, *self.grown, self.samples]
        if self.grown and any(a >= b for a, b in itertools.pairwise(counts)):
            raise ValueError(f"grown={list(self.grown)}: must ascend, up to samples={self.samples}")
        return self

    def task_of(self, name: str) -> Task:
        """The benchmark of that name, or the registered task.

        Raises
        ------
        UnknownNameError
            Listing the registered tasks.
        """
        return next((own for own in self.benchmarks if own.name == name), None) or tasks.make(name)

    @property
    def every_seed(self) -> tuple[int, ...]:
        """All seeds, or the one."""
        return self.seeds or (self.seed,)

    def plain(self) -> dict[str, Any]:
        """As plain values; what only studies of several models or some cases say is left out where
        it says nothing."""
        content = self.model_dump(mode="json")
        for part in (content, *content["cases"]):
            for name, nothing in _LATER.items():
                if name in part and part[name] == nothing:
                    del part[name]
        if self.seeds:
            del content["seed"]
        return content


_LATER: dict[str, Any] = {
    "models": [],
    "seeds": [],
    "benchmarks": [],
    "grown": [],
    "positions": "original",
    "probe": "needed",
    "method": None,
    "group": None,
    "preset": None,
    "split": None,
    "sizes": {},
}
"""Entries that are left out where they say nothing, so that older recipes stay the same."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A batch of samples of one task; every case answers it before its records are kept.

    Attributes
    ----------
    task : str
    number : int
        Within the task.
    samples : tuple of int
        Their indices.
    seed : int
    """

    task: str
    number: int
    samples: tuple[int, ...]
    seed: int = 0


def plan_units(config: StudyConfig) -> tuple[Unit, ...]:
    """All units of a study in the order they run: task by task, batch by batch; samples that a run
    was extended by come after those before them."""
    return tuple(
        Unit(task, number, tuple(batch), seed)
        for task in config.tasks
        for number, (seed, batch) in enumerate(_batches(config, task))
    )


def _batches(config: StudyConfig, task: str) -> list[tuple[int, range]]:
    """Seeds and samples of a task's units."""
    parts = itertools.pairwise((0, *config.grown, config.sizes.get(task, config.samples)))
    return [
        (seed, range(start, min(start + config.batch, end)))
        for begin, end in parts
        for seed in config.every_seed
        for start in range(begin, end, config.batch)
    ]
