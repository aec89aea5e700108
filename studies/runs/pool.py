"""Running a study in several processes: each loads the model once, and answers unit after unit."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
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
    if not missing:
        return

    def report() -> None:
        if progress is not None:
            cases = len(config.cases)
            progress(len(store.done) * cases, len(units) * cases, f"{jobs} processes")

    report()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin, (config, dict(where), threads))
    try:
        futures = {pool.submit(_answer, i): units[i] for i in missing}
        for future in as_completed(futures):
            store.append(futures[future], future.result())
            report()
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


def _begin(config: StudyConfig, where: Mapping[str, Any], threads: int | None) -> None:
    """What a process does once. Ctrl-C goes to all processes: the first one ends the others, and a
    process whose parent is gone ends itself, as nobody would take its answers."""
    global _runner

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if threads is not None:
        torch.set_num_threads(threads)
    _runner = UnitRunner(config, load(config.model, **where))


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _answer(index: int) -> list[Record]:
    """Records of a unit by its number in the study."""
    assert _runner is not None
    return _runner.answer(plan_units(_runner.config)[index], index)
