"""Answering one unit of a study: all cases on the same samples, in an order that changes, timed."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import Encode, encode_for
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.trace import Generation
from saccade.studies.config.case_controllers import controller_of
from saccade.studies.config.cases import settings_of
from saccade.studies.config.study import Case, StudyConfig, Unit
from saccade.studies.runs.answer_records import record_of, signals_of
from saccade.studies.runs.record import Record
from saccade.studies.tasks.task import Sample, Task
from saccade.tuning.splits import split_indices

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
"""Called with the units answered so far, times cases, their total, and what comes next."""


def case_order(n: int, index: int) -> list[int]:
    """Order of `n` cases in unit number `index` of the study.

    Forwards and backwards in turn, starting one later every two units: in any 2 n units in a row
    every case comes first twice, and no pair of cases keeps its order.
    """
    start = index // 2 % n
    order = [*range(start, n), *range(start)]
    return order[::-1] if index % 2 else order


def samples_of(config: StudyConfig, task: Task, unit: Unit) -> Sequence[Sample]:
    """What a unit asks: those of its numbers, or the samples of the study's split at these."""
    numbers: Sequence[int] = unit.samples
    if config.split is not None:
        places = split_indices(task, config.split, unit.seed)
        numbers = [places[number] for number in numbers]
    return task.samples(numbers, seed=unit.seed)


class UnitRunner:
    """Answers units of a study with all of its cases.

    Parameters
    ----------
    config : StudyConfig
    model : Model
    report : callable, optional
        ``report(answered, label)``: cases of the present unit that have answered, and what comes
        next.
    """

    def __init__(
        self,
        config: StudyConfig,
        model: Model,
        report: Callable[[int, str], None] | None = None,
    ) -> None:
        self.config, self.model, self.report = config, model, report
        self.tasks = {name: config.task_of(name) for name in config.tasks}
        self.warm: set[str] = set()
        self._controllers: dict[tuple[str, str], Controller | None] = {}

    def answer(self, unit: Unit, index: int) -> list[Record]:
        """All records of a unit, number `index` of the study."""
        samples = self._samples(unit)
        self._warm_up(unit, samples)
        controllers = {case.name: self._controller(case, unit) for case in self.config.cases}
        ways = dict.fromkeys(map(encode_for, controllers.values()))
        prepared = {
            way: self._timed(functools.partial(self._prepare, unit, samples, way)) for way in ways
        }
        records = []
        for position, place in enumerate(case_order(len(self.config.cases), index)):
            case = self.config.cases[place]
            inputs, prepare_seconds = prepared[encode_for(controllers[case.name])]
            self._report(position, f"{unit.task}, unit {unit.number + 1}: {case.name}")
            work = functools.partial(self._generate, case, unit, inputs)
            answers, seconds = self._timed(work)
            shared: dict[str, Any] = {
                "task": unit.task,
                "case": case.name,
                "unit": unit.number,
                "seed": unit.seed,
                "position": position,
                "seconds": seconds / len(samples),
                "prepare_seconds": prepare_seconds / len(samples),
            }
            for number, sample, out in zip(unit.samples, samples, answers, strict=True):
                own = shared | {"sample": number}
                own |= signals_of(out) if case.probe == "all" else {}
                records.append(_record(sample, out, own))
        return records

    def _controller(self, case: Case, unit: Unit) -> Controller | None:
        """What controls a case on a unit's task, made once."""
        key = case.name, unit.task
        if key not in self._controllers:
            self._controllers[key] = controller_of(case, self.config, unit.task)
        return self._controllers[key]

    def _samples(self, unit: Unit) -> Sequence[Sample]:
        try:
            return samples_of(self.config, self.tasks[unit.task], unit)
        except Exception as error:  # of a task of another package, whatever it raises
            raise StudyError(f"task {unit.task!r}, {_numbers(unit)}: {_said(error)}") from error

    def _warm_up(self, unit: Unit, samples: Sequence[Sample]) -> None:
        """Answer a task's first unit once without looking at the clock."""
        if unit.task not in self.warm:
            self.warm.add(unit.task)
            self._report(0, f"{unit.task}: warm-up")
            baseline = next(c for c in self.config.cases if c.name == self.config.baseline)
            self._generate(baseline, unit, self._prepare(unit, samples))

    def _prepare(
        self, unit: Unit, samples: Sequence[Sample], encode: Encode = "now"
    ) -> list[Prepared]:
        return [self._prepared(unit.task, sample, encode) for sample in samples]

    def _prepared(self, task: str, sample: Sample, encode: Encode) -> Prepared:
        """A sample as inputs; what cannot be asked is named, as tasks of packages are not checked
        before."""
        try:
            return self.model.processor.prepare(sample.question, sample.images, encode=encode)
        except Exception as error:  # of a sample of another package, whatever it raises
            raise StudyError(f"task {task!r}, sample {sample.index}: {_said(error)}") from error

    def _generate(self, case: Case, unit: Unit, inputs: Sequence[Prepared]) -> list[Generation]:
        # Per unit, so that random choices differ between units but neither between the cases
        # of one nor between a run and its repetition.
        seed = {"seed": unit.seed + unit.samples[0]}
        controller = self._controller(case, unit)
        options: dict[str, Any] = seed | settings_of(
            case, self.tasks[unit.task], self.model.family.settings
        )
        try:
            return self.model.generate(inputs=inputs, controller=controller, **options)
        except SaccadeError as error:
            where = f"case {case.name!r} on task {unit.task!r}, {_numbers(unit)}"
            raise StudyError(f"{where}: {error}") from error

    def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        self._synchronise()
        started = time.perf_counter()
        result = work()
        self._synchronise()
        return result, time.perf_counter() - started

    def _synchronise(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)

    def _report(self, answered: int, label: str) -> None:
        if self.report is not None:
            self.report(answered, label)


def _record(sample: Sample, out: Generation, shared: dict[str, Any]) -> Record:
    """The record of an answer; whatever its score stumbles over is named."""
    try:
        return record_of(sample, out, shared)
    except Exception as error:
        where = f"task {shared['task']!r}, sample {sample.index}, case {shared['case']!r}"
        raise StudyError(f"{where}: {_said(error)}") from error


def _numbers(unit: Unit) -> str:
    """Which samples a unit has."""
    first, *more = unit.samples
    return f"samples {first} to {more[-1]}" if more else f"sample {first}"


def _said(error: Exception) -> str:
    """What an error says; its kind, too, where it is none that is made for users."""
    plain = isinstance(error, SaccadeError | ValueError | TypeError | OSError)
    return str(error) if plain else f"{type(error).__name__}: {error}"
