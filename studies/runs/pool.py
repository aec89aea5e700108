"""Running a study in several processes: each loads the model once, and answers unit after unit."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from saccade.backbones.loading import load
from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.config.study import StudyConfig, plan_units
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import RecordStore
from saccade.studies.runs.unit_runner import Progress, UnitRunner

_runner: UnitRunner | None = None
"""Of a process of the pool."""
_counter: "Counter | None" = None
"""Of the same process."""
LOOK = 0.5
"""Seconds between looks at how far the processes are."""


class Counter:
    """Cases that the processes of a pool have answered, together.

    Parameters
    ----------
    shared
        A number that the processes share.
    """

    def __init__(self, shared: Any) -> None:
        self.shared, self.own = shared, 0

    def report(self, answered: int, label: str = "") -> None:
        """Count up to so many cases of the present unit."""
        with self.shared.get_lock():
            self.shared.value += answered - self.own
        self.own = answered

    def finish(self, cases: int) -> None:
        """Count the rest of a unit."""
        self.report(cases)
        self.own = 0


def threads_of(jobs: int, threads: int | None) -> int | None:
    """Threads of each process: its share of the cores, unless they are given."""
    return threads if threads or jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)


def run_in_pool(
    config: StudyConfig,
    store: RecordStore,
    jobs: int,
    threads: int | None,
    where: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    """Answer what the store does not have yet, in `jobs` processes.

    Raises
    ------
    StudyError
        If a process fails, with its own message; what was answered is kept.
    """
    units = plan_units(config)
    missing = [i for i, unit in enumerate(units) if (unit.task, unit.number) not in store.done]
    cases, before = len(config.cases), len(store.done)
    context = multiprocessing.get_context("spawn")
    answered = context.Value("q", 0)

    def report(label: str) -> None:
        if progress is not None:
            # Read without its lock, which a process that was killed may hold for ever.
            done = before * cases + answered.get_obj().value
            progress(done, len(units) * cases, label)

    if not missing:
        report("done")
        return
    report(f"{jobs} processes")
    pool = ProcessPoolExecutor(jobs, context, _begin, (config, dict(where), threads, answered))
    try:
        futures = {pool.submit(_answer, i): units[i] for i in missing}
        while futures:
            for future in wait(futures, LOOK, FIRST_COMPLETED).done:
                store.append(futures.pop(future), future.result())
            report(f"{jobs} processes" if futures else "done")
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise _told(error, config, store, jobs) from error
    pool.shutdown()


def _told(
    error: BaseException, config: StudyConfig, store: RecordStore, jobs: int
) -> BaseException:
    """An error as the one who waits shall read it; an interruption as it is."""
    kept = f"{len(store.done)} of {len(plan_units(config))} units are kept in {store.folder}"
    if isinstance(error, BrokenProcessPool):
        return StudyError(
            f"a process of {jobs} ended before its time: {kept}; run again to go on, with fewer "
            "--jobs if memory is short"
        )
    told = isinstance(error, SaccadeError | ValueError | TypeError | OSError)
    return StudyError(f"{error} ({kept})") if told else error


def _begin(
    config: StudyConfig, where: Mapping[str, Any], threads: int | None, answered: Any
) -> None:
    """What a process does once. Ctrl-C goes to all processes: the first one ends the others, and a
    process whose parent is gone ends itself, as nobody would take its answers."""
    global _runner, _counter

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if threads is not None:
        torch.set_num_threads(threads)
    _counter = Counter(answered)
    _runner = UnitRunner(config, load(config.model, **where), _counter.report)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _answer(index: int) -> list[Record]:
    """Records of a unit by its number in the study."""
    assert _runner is not None and _counter is not None
    records = _runner.answer(plan_units(_runner.config)[index], index)
    _counter.finish(len(_runner.config.cases))
    return records
