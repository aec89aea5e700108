"""Running a study: every case answers the same units, in changing order, and is timed on each."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from saccade.backbones.checkpoints.config import language_config
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.families.registry import family_of
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import Encode, encode_for
from saccade.backbones.loading import load, resolve
from saccade.backbones.model import Model
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.trace import Generation
from saccade.studies.config.cases import (
    check_study,
    controller_of,
    each_model,
    model_slug,
    settings_of,
)
from saccade.studies.config.study import Case, StudyConfig, Unit, plan_units
from saccade.studies.runs.answer_records import record_of, signals_of
from saccade.studies.runs.model_folders import MODELS, write_models
from saccade.studies.runs.pool import run_in_pool, threads_of
from saccade.studies.runs.recipe import ROOT, git_state, make_recipe
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import RecordStore
from saccade.studies.tasks.task import Sample

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
"""Called with the units answered so far, times cases, their total, and what comes next."""


def run_study(
    config: StudyConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    threads: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    dtype: str | None = None,
) -> Path:
    """Run a study, or go on with one that was interrupted.

    Parameters
    ----------
    config : StudyConfig
    out : Path
        Folder of the run; one that holds units of the same recipe is continued.
    progress : callable, optional
        ``progress(done, total, label)``.
    threads : int, optional
        Threads torch may use meanwhile; None leaves them as they are. Of each process, if there are
        several: its share of the cores by default.
    jobs : int
        Processes that answer units side by side. Measured times then compare cases under the
        same load, which is fair to all, but less exact.
    device, dtype : str, optional
        As in `saccade.load`.

    Returns
    -------
    Path
        The folder. Of several models each has a folder of its own in it.

    Raises
    ------
    StudyError
        If the study or the folder cannot be used as asked, or a case cannot run on the model.
    KeyboardInterrupt
        When interrupted: complete units are kept, and running the study again with the same `out`
        goes on from them. The message says how many there are.
    """
    git = git_state(ROOT)  # of the code that is loaded now, whatever is edited meanwhile
    check_study(config)
    out, singles = Path(out), each_model(config)
    for single in singles:  # the last model's turn may come hours after the first's
        _check_capabilities(single)
    if config.models:
        write_models(out, config)
    elif (out / MODELS).exists():
        raise StudyError(f"{out} holds runs of several models; give another --out")
    each = threads_of(jobs, threads)
    with limited_threads(each):
        for number, single in enumerate(singles):
            folder = out / model_slug(single.model) if config.models else out
            shared = _shared(progress, number, singles)
            where = {"device": device, "dtype": dtype}
            _run_single(single, folder, git, shared, jobs, each, where)
    return out


def _run_single(
    config: StudyConfig,
    out: Path,
    git: Mapping[str, str | None],
    progress: Progress | None,
    jobs: int = 1,
    threads: int | None = None,
    where: Mapping[str, Any] | None = None,
) -> None:
    """Run a study of one model in its folder; see `run_study`."""
    model = load(config.model, **(where or {}))
    recipe = make_recipe(config, model, git)
    if jobs > 1:
        recipe["hardware"]["jobs"] = jobs
    with RecordStore(out, recipe, config) as store:
        try:
            if jobs > 1:
                run_in_pool(config, store, jobs, threads, where or {}, progress)
            else:
                run_here(config, model, store, progress)
        except KeyboardInterrupt:
            total = len(plan_units(config))
            raise KeyboardInterrupt(
                f"interrupted: {len(store.done)} of {total} units are kept in {out}"
            ) from None


def _shared(
    progress: Progress | None, number: int, singles: Sequence[StudyConfig]
) -> Progress | None:
    """Progress of model `number` as part of that of all."""
    if progress is None or len(singles) == 1:
        return progress
    sizes = [len(plan_units(single)) * len(single.cases) for single in singles]
    before, name = sum(sizes[:number]), singles[number].model

    def report(done: int, _total: int, label: str) -> None:
        progress(before + done, sum(sizes), f"{name}: {label}")

    return report


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads in a ``with`` block; None leaves them as they are.

    Raises
    ------
    StudyError
        If `threads` is less than 1.
    """
    if threads is not None and threads < 1:
        raise StudyError(f"threads={threads}: must be 1 or more")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_capabilities(config: StudyConfig) -> None:
    """Raise `StudyError` unless the model, by its config alone, can do what every case asks."""
    folder = resolve(config.model)
    content = read_json(folder / "config.json")
    family = family_of(content, folder)
    spec = family.spec(config.model, language_config(content, family.decoder))
    for case in config.cases:
        controller = controller_of(case)
        try:
            if controller is not None:
                controller.check(spec)
        except SaccadeError as error:
            raise StudyError(f"case {case.name!r}: {error}") from error


def case_order(n: int, index: int) -> list[int]:
    """Order of `n` cases in unit number `index` of the study.

    Forwards and backwards in turn, starting one later every two units: in any 2 n units in a row
    every case comes first twice, and no pair of cases keeps its order.
    """
    start = index // 2 % n
    order = [*range(start, n), *range(start)]
    return order[::-1] if index % 2 else order


def run_here(
    config: StudyConfig, model: Model, store: RecordStore, progress: Progress | None
) -> None:
    """Answer what the store does not have yet, unit by unit."""
    units, cases = plan_units(config), len(config.cases)

    def report(answered: int, label: str) -> None:
        if progress is not None:
            progress(len(store.done) * cases + answered, len(units) * cases, label)

    runner = UnitRunner(config, model, report)
    for index, unit in enumerate(units):
        if (unit.task, unit.number) not in store.done:
            store.append(unit, runner.answer(unit, index))
    report(0, "done")


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

    def answer(self, unit: Unit, index: int) -> list[Record]:
        """All records of a unit, number `index` of the study."""
        samples = self.tasks[unit.task].samples(unit.samples, seed=unit.seed)
        self._warm_up(unit, samples)
        ways = dict.fromkeys(encode_for(controller_of(case)) for case in self.config.cases)
        prepared = {
            way: self._timed(functools.partial(self._prepare, samples, way)) for way in ways
        }
        records = []
        for position, number in enumerate(case_order(len(self.config.cases), index)):
            case = self.config.cases[number]
            inputs, prepare_seconds = prepared[encode_for(controller_of(case))]
            self._report(position, f"{unit.task}, unit {unit.number + 1}: {case.name}")
            work = functools.partial(self._generate, case, unit, inputs)
            answers, seconds = self._timed(work)
            shared = {
                "task": unit.task,
                "case": case.name,
                "unit": unit.number,
                "seed": unit.seed,
                "position": position,
                "seconds": seconds / len(samples),
                "prepare_seconds": prepare_seconds / len(samples),
            }
            records += [
                record_of(sample, out, shared | (signals_of(out) if case.probe == "all" else {}))
                for sample, out in zip(samples, answers, strict=True)
            ]
        return records

    def _warm_up(self, unit: Unit, samples: Sequence[Sample]) -> None:
        """Answer a task's first unit once without looking at the clock."""
        if unit.task not in self.warm:
            self.warm.add(unit.task)
            self._report(0, f"{unit.task}: warm-up")
            baseline = next(c for c in self.config.cases if c.name == self.config.baseline)
            self._generate(baseline, unit, self._prepare(samples))

    def _prepare(self, samples: Sequence[Sample], encode: Encode = "now") -> list[Prepared]:
        prepare = self.model.processor.prepare
        return [prepare(s.question, s.images, encode=encode) for s in samples]

    def _generate(self, case: Case, unit: Unit, inputs: Sequence[Prepared]) -> list[Generation]:
        # Per unit, so that random choices differ between units but neither between the cases
        # of one nor between a run and its repetition.
        seed = {"seed": unit.seed + unit.samples[0]}
        options: dict[str, Any] = seed | settings_of(
            case, self.tasks[unit.task], self.model.family.settings
        )
        try:
            return self.model.generate(inputs=inputs, controller=controller_of(case), **options)
        except SaccadeError as error:
            raise StudyError(f"case {case.name!r} on task {unit.task!r}: {error}") from error

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
