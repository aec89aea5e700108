"""Collecting counterfactuals: sample after sample, in one process or several, resumable."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import torch

from saccade import __version__
from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.model import Model
from saccade.controller.arguments import check_int
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.tuning.counterfactuals import Experiment, counterfactuals
from saccade.tuning.splits import Task, split_indices
from saccade.tuning.trace_table import TraceTable

SPLIT = "tune"
"""The samples that traces are collected on: those of certificates and reports are never seen."""
LOOK = 0.5
"""Seconds between looks at how far the processes are."""
Progress = Callable[[int, int], None]
"""``progress(done, total)`` in samples."""
Source = Callable[[], "tuple[Model, Sequence[TimedTask]]"]
"""Makes the model and the tasks, in any process: a function of a module, with plain arguments."""


class TimedTask(Task, Protocol):
    """A task that says how its answers are generated."""

    @property
    def gen_length(self) -> int: ...

    @property
    def block_length(self) -> int: ...

    @property
    def steps(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Unit:
    """One sample: its task by its place, and its number."""

    task: int
    sample: int


class Collector:
    """Answers units, and writes their parts.

    Parameters
    ----------
    model : Model
    tasks : sequence of Task
    table : TraceTable
    experiment : Experiment
    """

    def __init__(
        self,
        model: Model,
        tasks: "Sequence[TimedTask]",
        table: TraceTable,
        experiment: Experiment,
    ) -> None:
        self.model, self.tasks = model, tasks
        self.table, self.experiment = table, experiment
        self._identities: dict[int, str] = {}

    def answer(self, unit: Unit) -> int:
        """Run a sample and write its part; the number of its rows."""
        task, seed = self.tasks[unit.task], self.experiment.seed
        sample = task.samples([unit.sample], seed=seed)[0]
        settings = self.model.family.settings.for_lengths(
            task.gen_length, task.block_length, task.steps
        )
        rows = counterfactuals(self.model, sample, self.experiment, settings)
        self.table.write(task.name, seed, unit.sample, rows, self._identity(unit.task))
        return len(rows)

    def missing(self, n: int) -> list[Unit]:
        """Units of the first `n` samples of every task that have no part yet."""
        return [unit for unit in self.units(n) if not self._part(unit).exists()]

    def units(self, n: int) -> list[Unit]:
        """Units of the first `n` samples of every task.

        Raises
        ------
        ValueError
            If a task has not so many for this.
        """
        out = []
        for place, task in enumerate(self.tasks):
            indices = split_indices(task, SPLIT, self.experiment.seed)
            if check_int("n", n, 1) > len(indices):
                raise ValueError(
                    f"n={n}: the {SPLIT} split of the task {task.name!r} has {len(indices)} "
                    "samples; give as many or fewer"
                )
            out += [Unit(place, indices[i]) for i in range(n)]
        return out

    def _part(self, unit: Unit) -> Path:
        name, seed = self.tasks[unit.task].name, self.experiment.seed
        return self.table.part(name, seed, unit.sample, self._identity(unit.task))

    def _identity(self, place: int) -> str:
        """What tells a task from others of its name: lengths, and the content of its file."""
        if place not in self._identities:
            task = self.tasks[place]
            file: Path | None = getattr(task, "file", None)
            content = "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
            lengths = f"{task.gen_length} {task.block_length} {task.steps}"
            self._identities[place] = f"{lengths} {content}"
        return self._identities[place]

    def recipe(self, name: str) -> dict[str, Any]:
        """What the parts of a table are made of; `name` is that of the model."""
        own, spec = self.experiment, self.model.spec
        return {
            "schema": 1,
            "model": name,
            "backbone": {
                "origin": spec.origin,
                "geometry": asdict(spec.geometry),
                "hash": fingerprint(self.model.network),
            },
            "split": SPLIT,
            "seed": own.seed,
            "actions": [[a.keep, list(a.skip), a.commit] for a in own.actions],
            "shares": list(own.shares),
            "pruner": own.pruner,
            "label_free": own.label_free,
            "features": list(FEATURES),
            "ladder": list(RUNGS),
            "versions": {"saccade": __version__, "torch": torch.__version__},
        }


def collect(
    source: Source,
    folder: str | Path,
    experiment: Experiment,
    *,
    n: int,
    name: str,
    workers: int = 1,
    threads: int = 1,
    progress: Progress | None = None,
) -> int:
    """Collect the counterfactuals of samples that a table does not have yet.

    Parameters
    ----------
    source : callable
        See `Source`; with several workers it is sent to each.
    folder : str or Path
        Of the table, which is begun if it is not there.
    experiment : Experiment
    n : int
        Samples a task.
    name : str
        Of the model, for the recipe.
    workers : int
        Processes.
    threads : int
        Of each. The same number gives the same table, however many workers there are.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    int
        Samples that were missing.

    Raises
    ------
    StudyError
        If the table was begun otherwise, or a process fails; what was collected is kept.
    CapabilityError, PlanError, ValueError
        If the model cannot carry out an action, or there are not so many samples.
    """
    check_int("workers", workers, 1), check_int("threads", threads, 1)
    table = TraceTable(folder)
    with _threads(threads):
        model, tasks = source()
        experiment.check(model)
        collector = Collector(model, tasks, table, experiment)
        total = len(collector.units(n))
        table.begin(collector.recipe(name))
        missing = collector.missing(n)
        tell = _told(progress, total - len(missing), total)
        if workers == 1 or len(missing) < 2:
            for done, unit in enumerate(missing, start=1):
                collector.answer(unit)
                tell(done)
        else:
            _in_pool((source, str(folder), experiment, threads), missing, workers, tell)
    return len(missing)


def _told(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if progress is not None:
            progress(before + done, total)

    tell(0)
    return tell


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_pool(
    how: tuple[Any, ...], missing: Sequence[Unit], workers: int, tell: Callable[[int], None]
) -> None:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(missing)), context, _begin, how)
    done = 0
    try:
        with _deaf():
            waiting: set[Future[int]] = {pool.submit(_answer, unit) for unit in missing}
        while waiting:
            ready, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
            for future in ready:
                future.result()
            done += len(ready)
            tell(done)
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise _explained(error, done, len(missing)) from error
    pool.shutdown()


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C is not heard, nor ever by processes that begin meanwhile: they inherit that, and would
    else show what they were importing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _explained(error: BaseException, done: int, total: int) -> BaseException:
    kept = f"{done} of {total} samples of this run are kept; run it again to go on"
    if isinstance(error, BrokenProcessPool):
        return StudyError(f"a process ended before its time: {kept}, with fewer if memory is short")
    if isinstance(error, SaccadeError | ValueError | TypeError | OSError):
        return StudyError(f"{error} ({kept})")
    return error


_collector: Collector | None = None
"""Of a process of the pool."""


def _begin(source: Source, folder: str, experiment: Experiment, threads: int) -> None:
    """What a process does once. Ctrl-C goes to all: the first one ends the others, and one whose
    parent is gone ends itself."""
    global _collector

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    model, tasks = source()
    _collector = Collector(model, tasks, TraceTable(folder), experiment)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _answer(unit: Unit) -> int:
    assert _collector is not None
    return _collector.answer(unit)
