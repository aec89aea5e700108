"""A search as a YAML file, or as options of the command line."""

import math
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.names import unknown_name
from saccade.studies.config.yaml_files import read_config
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.registry import tasks
from saccade.studies.tasks.task import Task
from saccade.studies.tasks.unlabelled import UnlabelledFile
from saccade.tuning.goal import Goal

UNITS = {"s": 1, "m": 60, "h": 3600}
BUDGET = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smh])\s*$")
SHARE = re.compile(r"^\s*(\d+(?:\.\d+)?(?:[eE]-\d+)?)\s*(%?)\s*$")
DEFAULT_BUDGET = 600.0


def parse_budget(given: object) -> float:
    """Seconds of ``10m``, ``90s`` or ``1h``; `ValueError` for anything else, and for 0."""
    match = BUDGET.match(given) if isinstance(given, str) else None
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise ValueError(f"budget={given!r}; give a time above 0, such as 10m, 90s or 1h")
    return seconds


def parse_share(given: object) -> float:
    """A share of ``1%`` or ``0.01``; `ValueError` for what is none from 0 to 100 %."""
    match = SHARE.match(given) if isinstance(given, str) else None
    value = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    if isinstance(given, int | float) and not isinstance(given, bool):
        value = given
    if not 0 <= value <= 1:
        raise ValueError(f"max_drop={given!r}; give a share from 0 to 100 %, such as 1% or 0.01")
    return value


class SampleCounts(BaseModel):
    """Samples of the search, and of the result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tune: int = Field(default=24, ge=1, strict=True)
    test: int = Field(default=24, ge=1, strict=True)


class TuneConfig(BaseModel):
    """What is searched, and how.

    Attributes
    ----------
    name : str
        Of the study and the preset.
    model, task, benchmark
        What answers what; `benchmark` is a file of questions instead of a task.
    max_drop, budget, trials, workers, front, sampler, objective, label_free, seed
        See `saccade tune run`.
    samples : SampleCounts
    batch : int
        Samples that are answered together.
    policies, pruners, space
        See `saccade.tuning.space.Space`; the backbone's own without them.
    baselines : bool
        Whether the fixed schedules of tables 1 to 3 are tried first.
    kind : "short", "long" or "free"
        Of the answers, as the preset says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="tune", min_length=1, max_length=100)
    model: str = "embedded/llada-v"
    task: str = "transcribe"
    benchmark: QuestionFile | None = None
    max_drop: float = 0.01
    budget: float | None = None
    trials: int | None = Field(default=None, ge=1, strict=True)
    workers: int = Field(default=1, ge=1, le=256, strict=True)
    front: bool = False
    sampler: str = "tpe"
    objective: str = "cost"
    label_free: bool = False
    seed: int = Field(default=0, ge=0, strict=True)
    samples: SampleCounts = SampleCounts()
    batch: int = Field(default=8, ge=1, strict=True)
    policies: tuple[str, ...] = ()
    pruners: tuple[str, ...] = ()
    space: dict[str, Any] = Field(default_factory=dict)
    baselines: bool = True
    kind: Literal["short", "long", "free"] | None = None

    @field_validator("max_drop", mode="before")
    @classmethod
    def _share(cls, given: object) -> float:
        return parse_share(given)

    @field_validator("budget", mode="before")
    @classmethod
    def _seconds(cls, given: object) -> float | None:
        if given is None or (isinstance(given, float) and 0 < given < math.inf):
            return given
        return parse_budget(given)

    @model_validator(mode="after")
    def _fits(self) -> "TuneConfig":
        if self.budget is not None and self.trials is not None:
            raise ValueError("give budget or trials, not both")
        if self.objective == "latency" and self.workers > 1:
            raise ValueError(
                f"objective latency with {self.workers} workers: each would disturb the time that "
                "the others measure; give 1 worker, or the objective cost, which is exact"
            )
        if self.benchmark is None and self.task not in tasks:
            raise ValueError(unknown_name("task", self.task, tasks))
        self.goal  # noqa: B018  # whose checks name what is wrong
        return self

    @property
    def goal(self) -> Goal:
        """What is optimised."""
        return Goal(self.max_drop, self.front, self.sampler, self.objective, self.seed)

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; None where trials are counted."""
        return None if self.trials is not None else self.budget or DEFAULT_BUDGET

    def task_object(self) -> Task:
        """The task itself."""
        if self.benchmark is None:
            return tasks.make(self.task)
        if self.label_free:  # whose right answers, if any, are not looked at
            return UnlabelledFile.model_validate(self.benchmark.model_dump())
        return self.benchmark

    def changed(self, **options: Any) -> "TuneConfig":
        """The same with other options, checked again."""
        given = {key: value for key, value in options.items() if value is not None}
        if given.keys() & {"budget", "trials"}:
            given = {"budget": None, "trials": None} | given
        content = self.model_dump() | given
        try:
            return TuneConfig.model_validate(content)
        except ValueError as error:
            words: list[Any] = getattr(error, "errors", list)()
            raise StudyError("; ".join(map(_said, words)) or str(error)) from None


def _said(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where and not message.startswith(where) else message


def load_tuning(path: str | Path) -> TuneConfig:
    """Read a search from a YAML file.

    Raises
    ------
    StudyError
        Naming the entry, what was given and what is allowed.
    """
    parts: dict[str, type[BaseModel]] = {"samples": SampleCounts, "benchmark": QuestionFile}
    config = read_config(path, "search", TuneConfig, parts)
    if config.benchmark is not None:
        file = (Path(path).parent / config.benchmark.file).absolute()
        config = config.model_copy(
            update={"benchmark": config.benchmark.model_copy(update={"file": file})}
        )
    return config


def benchmark_of(path: Path, label_free: bool, lengths: dict[str, int | None]) -> QuestionFile:
    """A file of questions as a task: JSON lines, or a YAML file that says more about them.

    Raises
    ------
    SaccadeError
        If it cannot be read, or lines are wrong.
    """
    if not path.is_file():
        raise StudyError(f"there is no file of questions at {path}; give JSON lines or a YAML file")
    path = path.absolute()  # a search is gone on with from any folder
    given = {key: value for key, value in lengths.items() if value is not None}
    kind: type[QuestionFile] = UnlabelledFile if label_free else QuestionFile
    if path.suffix.lower() in (".yaml", ".yml"):
        own = read_config(path, "benchmark", kind, {})
        own = own.model_copy(update={"file": path.parent / own.file, **given})
    else:
        lengths_ = {"gen_length": 32, "steps": 16} | given
        name = re.sub(r"[^\w.-]+", "-", path.stem).strip("-.") or "questions"
        own = kind.model_validate({"name": name, "file": path, **lengths_})
    if not own.n_samples:
        raise SaccadeError(f"{path} has no questions")
    return own
