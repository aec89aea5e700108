"""The configuration of a study: its cases, and the tasks that they all run on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from saccade.backbones.decoding.settings import GenerateSettings
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.registry import policies, pruners
from saccade.studies.documents.tasks import KINDS
from saccade.studies.plugins import build
from saccade.studies.yaml_files import read_config


class Plugin(BaseModel):
    """A policy or a pruner: its registered name, and its options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Case(BaseModel):
    """One configuration of the controller.

    Attributes
    ----------
    name : str
        As the results show it; unique in its study.
    policy : Plugin or None
        None (or "none") runs the bare model, without a controller.
    pruner : Plugin or None
        None (or "none") for policies that never drop.
    settings : dict
        Fields of `GenerateSettings` that differ from those of the task.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    policy: Plugin | None = None
    pruner: Plugin | None = None
    settings: dict[str, Any] = {}

    @field_validator("policy", "pruner", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """A bare name stands for a plug-in without options, and "none" for nothing."""
        if isinstance(value, str):
            value = {"name": value}
        return None if value == {"name": "none"} else value


class StudyConfig(BaseModel):
    """A study: every case answers the same samples of every task.

    Attributes
    ----------
    name : str
    model : str
        What `saccade.load` takes.
    seed : int
        Of the samples and of everything drawn at random.
    samples : int
        Per task.
    batch : int
        Samples that are answered together.
    tasks : tuple of str
        Task kinds, in the order they run.
    baseline : str
        Name of the case all others are compared with; it has no policy.
    cases : tuple of Case
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
    """

    task: str
    number: int
    samples: tuple[int, ...]


def plan_units(config: StudyConfig) -> tuple[Unit, ...]:
    """All units of a study in the order they run: task by task, batch by batch."""
    starts = range(0, config.samples, config.batch)
    batches = [range(start, min(start + config.batch, config.samples)) for start in starts]
    return tuple(
        Unit(task, number, tuple(batch))
        for task in config.tasks
        for number, batch in enumerate(batches)
    )


def load_study(path: str | Path) -> StudyConfig:
    """Read a study from a YAML file and check all of it.

    Raises
    ------
    StudyError
        If the file cannot be read, or an entry is unknown or wrong: what was given and what is
        allowed.
    """
    config = read_config(path, "study", StudyConfig, {"cases": Case})
    try:
        check_study(config)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error
    return config


def check_study(config: StudyConfig) -> None:
    """Raise `StudyError` unless all names are known and every case can be built."""
    _check_names("task", config.tasks, tuple(KINDS))
    names = tuple(case.name for case in config.cases)
    _check_names("case", names, names)
    _check_names("baseline", (config.baseline,), names)
    for case in config.cases:
        if case.name == config.baseline and case.policy is not None:
            raise StudyError(
                f"the baseline {case.name!r} has the policy {case.policy.name!r}; it must have none"
            )
        controller_of(case)
        for task in config.tasks:
            settings_of(case, task)


def controller_of(case: Case) -> Controller | None:
    """Build what controls a case; None for the bare model.

    Attention is measured only where the policy reads it, so that fixed schedules pay nothing.

    Raises
    ------
    StudyError
        For unknown names and options, listing the known.
    """
    try:
        if case.policy is None:
            if case.pruner is not None:
                raise StudyError(f"the pruner {case.pruner.name!r} has no policy that would ask it")
            return None
        policy = build(policies, case.policy.name, case.policy.options)
        chosen = case.pruner
        pruner = None if chosen is None else build(pruners, chosen.name, chosen.options)
        return Controller(policy, pruner, probe="needed")
    except (SaccadeError, TypeError, ValueError) as error:
        raise StudyError(f"case {case.name!r}: {error}") from error


def settings_of(case: Case, task: str) -> dict[str, Any]:
    """Options of `generate` for a case on a task: the task's own, then what the case overrides.

    Raises
    ------
    StudyError
        If they are not valid together.
    """
    kind = KINDS[task]
    options: dict[str, Any] = {
        "gen_length": kind.gen_length,
        "block_length": kind.block_length,
        "steps": kind.steps,
        **case.settings,
    }
    try:
        GenerateSettings.from_options(options)
    except (TypeError, ValueError) as error:
        raise StudyError(f"case {case.name!r} on task {task!r}: {error}") from error
    return options


def _check_names(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise StudyError(f"unknown {what} {unknown[0]!r}; known: {', '.join(known)}")
    twice = [name for name in given if given.count(name) > 1]
    if twice:
        raise StudyError(f"the {what} {twice[0]!r} is given twice; names must be unique")
