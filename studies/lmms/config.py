"""A study over benchmarks as people write it, and how it stands in our own form."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from saccade.controller.errors import StudyError
from saccade.controller.names import unknown_name
from saccade.studies.config.case_controllers import controller_of, preset_of
from saccade.studies.config.cases import model_slug, settings_class
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.config.yaml_files import read_config
from saccade.studies.lmms.canvas import own_options

UNIT = 64
"""Answers whose records are kept together; their times are one measurement."""


class LmmsStudy(BaseModel):
    """Cases on tasks of lmms-eval.

    Attributes
    ----------
    name : str
    models : tuple of str
        What `saccade.load` takes, each.
    tasks : tuple of str
        Names of lmms-eval's tasks.
    cases : tuple of Case
        As in studies of our own tasks.
    baseline : str
    seed : int
    batch : int
        Answers at a time in each process.
    limit : int or None
        Documents of each task; all by default.
    options : dict
        Options of `generate` instead of the published canvas, for all tasks or by task.
    frames : int or None
        Of a video, instead of the published number.
    include_path : Path or None
        Folder of tasks of one's own, relative to the study's file.
    folder : Path or None
        Where the study's file lies.
    takes : str or None
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = Field(min_length=1)
    cases: tuple[Case, ...] = Field(min_length=1)
    baseline: str = "none"
    seed: int = Field(default=0, ge=0, strict=True)
    batch: int = Field(default=1, ge=1, strict=True)
    limit: int | None = Field(default=None, ge=1, strict=True)
    options: dict[str, Any] = {}
    frames: int | None = Field(default=None, ge=1, strict=True)
    include_path: Path | None = None
    folder: Path | None = Field(default=None, exclude=True)
    takes: str | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [case.name for case in self.cases]
        if self.baseline not in names:
            raise ValueError(unknown_name("baseline", self.baseline, tuple(names)))
        for what, own in (("case", names), ("task", self.tasks), ("model", self.models)):
            twice = [name for name in own if list(own).count(name) > 1]
            if twice:
                raise ValueError(f"the {what} {twice[0]!r} is given twice; names must be unique")
        base = next(case for case in self.cases if case.name == self.baseline)
        if not base.bare:
            raise ValueError(f"the baseline {base.name!r} must have no policy and no preset")
        return self

    def on(self, model: str) -> tuple[Case, ...]:
        """The cases that run on a model."""
        return tuple(case for case in self.cases if not case.models or model in case.models)

    def as_study(self, model: str, sizes: dict[str, int]) -> StudyConfig:
        """The study of one model in the form that records and reports have, on tasks of these
        numbers of documents."""
        cases = [case.model_copy(update={"models": ()}) for case in self.on(model)]
        return StudyConfig(
            name=self.name,
            model=model,
            seed=self.seed,
            samples=max(sizes.values()),
            sizes=sizes,
            batch=UNIT,
            tasks=tuple(sizes),
            baseline=self.baseline,
            cases=tuple(cases),
            folder=self.folder,
        )


def load_lmms_study(path: str | Path) -> LmmsStudy:
    """Read a study over benchmarks, and check its names, policies and settings.

    Raises
    ------
    StudyError
        If the file cannot be read, or an entry is unknown or wrong: what was given and what is
        allowed.
    """
    found = read_config(path, "study over benchmarks", LmmsStudy, {"cases": Case})
    if found.folder is not None:
        raise StudyError(f"{path}: unknown key 'folder'; it is where the study's file lies")
    here = Path(path).parent
    update: dict[str, Any] = {"folder": here}
    if found.include_path is not None:
        update["include_path"] = here / found.include_path
    study = found.model_copy(update=update)
    if study.include_path is not None and not study.include_path.is_dir():
        raise StudyError(f"{path}: no folder of tasks at {study.include_path}")
    return study


def check_study(study: LmmsStudy) -> None:
    """Raise `StudyError` unless every case can be built and its settings suit each model."""
    for model in study.models:
        settings = settings_class(study.as_study(model, dict.fromkeys(study.tasks, 1)))
        for case in study.on(model):
            for task in study.tasks:
                options = own_options(study.options, task) | case.settings
                try:
                    settings.from_options(options)
                except (TypeError, ValueError) as error:
                    raise StudyError(f"case {case.name!r} on task {task!r}: {error}") from error
                if case.preset is not None:
                    controller_of(case, study.as_study(model, {task: 1}), task)
            if case.preset is None:
                controller_of(case)


def arguments_of(study: LmmsStudy, model: str, case: Case, task: str) -> dict[str, Any]:
    """The plug-in's ``model_args`` for a case on a task, without the device and the like."""
    local = Path(model)
    given: dict[str, Any] = {
        "pretrained": str(local.resolve()) if local.is_dir() else model,
        "seed": study.seed,
        "batch_size": study.batch,
        "options": own_options(study.options, task) | case.settings,
        "frames": study.frames,
    }
    if case.preset is not None:
        preset_of(case, study.as_study(model, {task: 1}), task)  # whose errors are ours
        name = case.preset.replace("{model}", model).replace("{task}", task)
        beside = (study.folder or Path()) / name
        given["preset"] = str(beside.resolve()) if beside.exists() else name
        return given
    own = {"policy": case.policy, "pruner": case.pruner, "positions": case.positions}
    return given | own


def slug(name: str) -> str:
    """A name as that of a folder."""
    return model_slug(name)
