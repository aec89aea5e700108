"""The configuration of a study: its cases, and the tasks that they all run on."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from saccade.backbones.decoding.settings import GenerateSettings, Settings
from saccade.backbones.loading import read_family
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.registry import policies, pruners
from saccade.controller.session import Positions
from saccade.studies.benchmarks import Benchmark
from saccade.studies.documents.tasks import KINDS, TaskKind
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
        Options of the model's `generate` that differ from those of the task.
    positions : "original" or "compact"
        As in `Controller`.
    models : tuple of str
        Which models of the study it runs on; all without any.
    method, group : str or None
        Its row and its part of a table of methods; both or neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    policy: Plugin | None = None
    pruner: Plugin | None = None
    settings: dict[str, Any] = {}
    positions: Positions = "original"
    models: tuple[str, ...] = ()
    method: str | None = None
    group: str | None = None

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
    seeds : tuple of int
        Several instead of `seed`: each has samples of its own, and scores vary between them.
    samples : int
        Per task and seed.
    batch : int
        Samples that are answered together.
    tasks : tuple of str
        Task kinds, in the order they run.
    baseline : str
        Name of the case all others are compared with; it has no policy.
    cases : tuple of Case
    models : tuple of str
        Several models instead of `model`: each runs its cases and is compared with itself.
    benchmarks : tuple of Benchmark
        Files of questions that can be tasks too; their paths are relative to the study's file.
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
    benchmarks: tuple[Benchmark, ...] = ()

    def kind_of(self, task: str) -> TaskKind | Benchmark:
        """A task's kind of document, or the benchmark of that name."""
        return next((own for own in self.benchmarks if own.name == task), None) or KINDS[task]

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
    "positions": "original",
    "method": None,
    "group": None,
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
    """All units of a study in the order they run: task by task, batch by batch."""
    starts = range(0, config.samples, config.batch)
    batches = [range(start, min(start + config.batch, config.samples)) for start in starts]
    return tuple(
        Unit(task, number, tuple(batch), seed)
        for task in config.tasks
        for number, (seed, batch) in enumerate(itertools.product(config.every_seed, batches))
    )


def each_model(config: StudyConfig) -> tuple[StudyConfig, ...]:
    """A study of each model alone, with the cases that run on it; the study itself if it is one."""
    if not config.models:
        return (config,)
    return tuple(
        config.model_copy(update={"model": name, "models": (), "cases": _cases_on(config, name)})
        for name in config.models
    )


def _cases_on(config: StudyConfig, model: str) -> tuple[Case, ...]:
    return tuple(
        case.model_copy(update={"models": ()})
        for case in config.cases
        if not case.models or model in case.models
    )


def model_slug(model: str) -> str:
    """A model's name as a file name; never hidden, and never a folder above."""
    return re.sub(r"[^\w.-]+", "-", model).strip("-.") or "model"


def load_study(path: str | Path) -> StudyConfig:
    """Read a study from a YAML file and check all of it.

    Raises
    ------
    StudyError
        If the file cannot be read, or an entry is unknown or wrong: what was given and what is
        allowed.
    """
    config = read_config(path, "study", StudyConfig, {"cases": Case, "benchmarks": Benchmark})
    here = [b.model_copy(update={"file": Path(path).parent / b.file}) for b in config.benchmarks]
    tasks = {} if "tasks" in config.model_fields_set else {"tasks": tuple(b.name for b in here)}
    if here:
        config = config.model_copy(update={"benchmarks": tuple(here), **tasks})
    try:
        _check_given(config)
        check_study(config)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error
    return config


def with_own(
    config: StudyConfig, models: Sequence[str] = (), benchmarks: Sequence[str | Path] = ()
) -> StudyConfig:
    """A study on other models, and on benchmarks instead of its tasks, where some are given.

    Cases that name models of the study run on all of the others.

    Raises
    ------
    StudyError
        As `load_study` does.
    """
    content = config.plain()
    if models:
        for name in ("model", "models"):
            content.pop(name, None)
        content |= {"models": list(models)} if len(models) > 1 else {"model": models[0]}
        for case in content["cases"]:
            case.pop("models", None)
    if benchmarks:
        own = [read_config(path, "benchmark", Benchmark, {}) for path in benchmarks]
        files = [Path(path).parent / b.file for path, b in zip(benchmarks, own, strict=True)]
        content["benchmarks"] = [
            b.model_dump(mode="json") | {"file": str(file)}
            for b, file in zip(own, files, strict=True)
        ]
        content["tasks"] = [b.name for b in own]
    made = StudyConfig.model_validate(content)
    check_study(made)
    return made


def _check_given(config: StudyConfig) -> None:
    """Raise `StudyError` for lists of models that are there and empty: they would mean all."""
    parts: dict[str, StudyConfig | Case] = {"the study": config}
    parts |= {f"case {case.name!r}": case for case in config.cases}
    for where, part in parts.items():
        if "models" in part.model_fields_set and not part.models:
            raise StudyError(f"{where} has no models; give one or more, or leave out models")


def check_study(config: StudyConfig) -> None:
    """Raise `StudyError` unless all names are known and every case can be built."""
    names = tuple(own.name for own in config.benchmarks)
    _check_names("task", config.tasks, (*KINDS, *names))
    _check_names("benchmark", names, names)
    for own in config.benchmarks:
        if own.name in KINDS:
            raise StudyError(f"a benchmark is named {own.name!r}, as a kind of document is")
        if config.samples > len(own.items()):
            raise StudyError(
                f"samples={config.samples}, but {own.file} has {len(own.items())} questions; give "
                "as many or fewer"
            )
    names = tuple(case.name for case in config.cases)
    _check_names("case", names, names)
    _check_names("baseline", (config.baseline,), names)
    _check_models(config)
    _check_seeds(config)
    for case in config.cases:
        if case.name == config.baseline and (case.policy is not None or case.models):
            what = "models" if case.policy is None else f"the policy {case.policy.name!r}"
            raise StudyError(f"the baseline {case.name!r} has {what}; it must have none")
        if (case.method is None) != (case.group is None):
            raise StudyError(f"case {case.name!r}: give both method and group, or neither")
        controller_of(case)
    for single in each_model(config):
        settings = settings_class(single)
        try:
            for case, task in itertools.product(single.cases, single.tasks):
                settings_of(case, single.kind_of(task), settings)
        except StudyError as error:
            raise StudyError(f"{single.model}: {error}" if config.models else str(error)) from error


def _check_models(config: StudyConfig) -> None:
    """Raise `StudyError` unless models are named once, and cases name models of the study."""
    if config.models and "model" in config.model_fields_set:
        raise StudyError("give model or models, not both")
    _check_names("model", config.models, config.models)
    slugs = [model_slug(name) for name in config.models]
    if len(set(slugs)) < len(slugs):
        raise StudyError(f"models {', '.join(config.models)} need folders of different names")
    known = config.models or (config.model,)
    for case in config.cases:
        _check_names(f"model of case {case.name!r}", case.models, known)


def _check_seeds(config: StudyConfig) -> None:
    """Raise `StudyError` unless seeds are distinct whole numbers from 0, and given in one way."""
    if config.seeds and "seed" in config.model_fields_set:
        raise StudyError("give seed or seeds, not both")
    if min(config.every_seed) < 0 or len(set(config.seeds)) < len(config.seeds):
        raise StudyError(f"seeds={list(config.seeds)}: give different whole numbers, 0 or more")


def settings_class(config: StudyConfig) -> type[Settings]:
    """The settings of a study's one model, from its checkpoint's family.

    Raises
    ------
    StudyError
        If there is no such checkpoint, or it is of no known family.
    """
    try:
        return read_family(config.model).settings
    except SaccadeError as error:
        raise StudyError(f"model {config.model}: {error}") from error


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
        return Controller(policy, pruner, probe="needed", positions=case.positions)
    except (SaccadeError, TypeError, ValueError) as error:
        raise StudyError(f"case {case.name!r}: {error}") from error


def settings_of(
    case: Case, task: str | TaskKind | Benchmark, settings: type[Settings] = GenerateSettings
) -> dict[str, Any]:
    """Options of `generate` for a case on a task: the task's own, in the words of the model's
    `settings`, then what the case overrides.

    Raises
    ------
    StudyError
        If they are not valid together.
    """
    kind = KINDS[task] if isinstance(task, str) else task
    own: Mapping[str, Any] = settings.for_lengths(kind.gen_length, kind.block_length, kind.steps)
    options = {**own, **case.settings}
    try:
        settings.from_options(options)
    except (TypeError, ValueError) as error:
        raise StudyError(f"case {case.name!r} on task {kind.name!r}: {error}") from error
    return options


def _check_names(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise StudyError(f"unknown {what} {unknown[0]!r}; known: {', '.join(known)}")
    twice = [name for name in given if given.count(name) > 1]
    if twice:
        raise StudyError(f"the {what} {twice[0]!r} is given twice; names must be unique")
