"""Reading a study, checking all of it, and building what its cases ask for."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.options import Settings
from saccade.backbones.loading import read_family
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.names import unknown_name
from saccade.studies.config.case_controllers import each_controller
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.config.yaml_files import read_config
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.registry import tasks
from saccade.studies.tasks.task import Task
from saccade.tuning.splits import split_indices


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
    config = read_config(path, "study", StudyConfig, {"cases": Case, "benchmarks": QuestionFile})
    if config.folder is not None:
        raise StudyError(f"{path}: unknown key 'folder'; presets lie relative to the study's file")
    here = [b.model_copy(update={"file": Path(path).parent / b.file}) for b in config.benchmarks]
    tasks = {} if "tasks" in config.model_fields_set else {"tasks": tuple(b.name for b in here)}
    config = config.model_copy(update={"folder": Path(path).parent})
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

    Of models that the study has, each runs its own cases; on others all cases run, also those that
    name models of the study.

    Raises
    ------
    StudyError
        As `load_study` does.
    """
    content = config.plain()
    if config.models:
        del content["model"]
    if models:
        for name in ("model", "models"):
            content.pop(name, None)
        content |= {"models": list(models)} if len(models) > 1 else {"model": models[0]}
        if set(models) <= set(config.models):
            content["cases"] = [case for case in content["cases"] if _runs_on(case, models)]
        for case in content["cases"]:
            own = [name for name in case.pop("models", ()) if name in models]
            if own and len(models) > 1:
                case["models"] = own
    if benchmarks:
        own = [read_config(path, "benchmark", QuestionFile, {}) for path in benchmarks]
        files = [Path(path).parent / b.file for path, b in zip(benchmarks, own, strict=True)]
        content["benchmarks"] = [
            b.model_dump(mode="json") | {"file": str(file)}
            for b, file in zip(own, files, strict=True)
        ]
        content["tasks"] = [b.name for b in own]
    made = StudyConfig.model_validate(content).model_copy(update={"folder": config.folder})
    check_study(made)
    return made


def _runs_on(case: dict[str, Any], models: Sequence[str]) -> bool:
    """Whether it names one of these models, or none at all."""
    return not case.get("models") or not set(case["models"]).isdisjoint(models)


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
    _check_names("task", config.tasks, (*tasks, *names))
    _check_names("benchmark", names, names)
    for own in config.benchmarks:
        if own.name in tasks:
            raise StudyError(f"a benchmark is named {own.name!r}, as a registered task is")
    for name in dict.fromkeys((*config.tasks, *names)):
        there = _n_samples(config, config.task_of(name))
        if there is not None and config.samples > there:
            which = f"the task {name!r}"
            which = which if config.split is None else f"the {config.split} split of {which}"
            raise StudyError(
                f"samples={config.samples}, but {which} has {there}; give as many or fewer"
            )
    names = tuple(case.name for case in config.cases)
    _check_names("case", names, names)
    _check_names("baseline", (config.baseline,), names)
    _check_models(config)
    _check_seeds(config)
    for case in config.cases:
        if case.name == config.baseline and (not case.bare or case.models):
            raise StudyError(f"the baseline {case.name!r} has {_more(case)}; it must have none")
        if (case.method is None) != (case.group is None):
            raise StudyError(f"case {case.name!r}: give both method and group, or neither")
    for single in each_model(config):
        for _ in each_controller(single):  # whose errors name the case
            pass
        settings = settings_class(single)
        try:
            for case, task in itertools.product(single.cases, single.tasks):
                settings_of(case, single.task_of(task), settings)
        except StudyError as error:
            raise StudyError(f"{single.model}: {error}" if config.models else str(error)) from error


def _n_samples(config: StudyConfig, task: Task) -> int | None:
    """How many samples a study may ask for; None: as many as it likes."""
    if task.n_samples is None or config.split is None:
        return task.n_samples
    return min(len(split_indices(task, config.split, seed)) for seed in config.every_seed)


def _more(case: Case) -> str:
    """What a baseline has and must not."""
    if case.policy is not None:
        return f"the policy {case.policy}"
    return "models" if case.preset is None else f"the preset {case.preset}"


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


def settings_of(
    case: Case, task: Task, settings: type[Settings] = GenerateSettings
) -> dict[str, Any]:
    """Options of `generate` for a case on a task: the task's own, in the words of the model's
    `settings`, then what the case overrides.

    Raises
    ------
    StudyError
        If they are not valid together.
    """
    own: Mapping[str, Any] = settings.for_lengths(task.gen_length, task.block_length, task.steps)
    if task.block_length == task.gen_length and "gen_length" in case.settings:
        own = {key: value for key, value in own.items() if key != "block_length"}  # still one block
    options = {**own, **case.settings}
    try:
        settings.from_options(options)
    except (TypeError, ValueError) as error:
        raise StudyError(f"case {case.name!r} on task {task.name!r}: {error}") from error
    return options


def _check_names(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise StudyError(unknown_name(what, unknown[0], known))
    twice = [name for name in given if given.count(name) > 1]
    if twice:
        raise StudyError(f"the {what} {twice[0]!r} is given twice; names must be unique")
