"""Running a study in several processes: each answers a share of the batches into a part of its own,
and the parts join the run."""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from saccade.backbones.loading import load
from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.recipe_files import check_recipe
from saccade.studies.runs.records import RECIPE, RECORDS, Record, RecordStore, read_run

PARTS = "parts"
"""Folder of the parts, in that of the run; gone when the run is complete."""
WAIT = 0.5
"""Seconds between two looks at the processes."""
FAILED = "error"
"""File of a part in which a process says why it gave up."""


def units_of(config: StudyConfig, number: int, of: int) -> tuple[Unit, ...]:
    """Every `of`-th unit of a study, from `number` on."""
    return plan_units(config)[number::of]


def threads_of(jobs: int, threads: int | None) -> int | None:
    """Threads of each process: its share of the cores, unless they are given."""
    return threads if threads or jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)


def parts_of(folder: Path) -> list[Path]:
    """Parts that have answered something."""
    parts = sorted((folder / PARTS).glob("*"))
    return [p for p in parts if (p / RECIPE).exists() and (p / RECORDS).exists()]


def check_parts(folder: Path, recipe: Recipe) -> None:
    """Refuse to go on where parts that were left behind have answered for another recipe.

    Raises
    ------
    StudyError
        Naming the differences.
    """
    for part in parts_of(folder):
        before, _, records = read_run(part)
        if records:
            check_recipe(folder, before, recipe)


def join_parts(folder: Path, store: RecordStore) -> None:
    """Take what parts have answered into the run; units that it has are passed over."""
    for part in parts_of(folder):
        _, config, records = read_run(part)
        by_unit: dict[tuple[str, int], list[Record]] = {}
        for record in records:
            by_unit.setdefault((record.task, record.unit), []).append(record)
        for unit in plan_units(config):
            key = (unit.task, unit.number)
            if key in by_unit and key not in store.done:
                store.append(unit, by_unit[key])


def run_in_parts(
    config: StudyConfig,
    folder: Path,
    recipe: Recipe,
    store: RecordStore,
    jobs: int,
    threads: int | None,
    where: Mapping[str, Any],
    report: Callable[[int, int, str], None] | None,
) -> None:
    """Answer what the store does not have yet, in `jobs` processes.

    Raises
    ------
    StudyError
        If a process fails, with its own message; what was answered is kept.
    """
    total, cases = len(plan_units(config)), len(config.cases)
    if len(store.done) < total:
        shutil.rmtree(folder / PARTS, ignore_errors=True)  # all of it is in the run
        context = multiprocessing.get_context("spawn")
        done = frozenset(store.done)
        processes = [
            context.Process(
                target=_answer_part,
                args=(config, folder, recipe, done, k, jobs, threads, dict(where)),
                daemon=True,
            )
            for k in range(jobs)
        ]
        try:
            with _without_interrupts():
                for process in processes:
                    process.start()
            _wait(processes, folder, lambda n: report and report(
                (len(store.done) + n) * cases, total * cases, f"{jobs} processes"
            ))  # fmt: skip
        finally:
            for process in processes:
                if process.pid is not None:
                    process.terminate()
                    process.join()
            join_parts(folder, store)
    if len(store.done) < total:
        kept = f"{len(store.done)} of {total} units are kept in {folder}"
        for part in sorted((folder / PARTS).glob(f"*/{FAILED}")):
            raise StudyError(f"{part.read_text(encoding='utf-8')} ({kept})")
        raise StudyError(
            f"a process of {jobs} ended before its time: {kept}; run again to go on, with fewer "
            "--jobs if memory is short"
        )
    shutil.rmtree(folder / PARTS, ignore_errors=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that are started in the block take no notice of Ctrl-C, which goes to all: the
    one that started them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main one may say what signals do
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _wait(processes: Sequence[BaseProcess], folder: Path, tell: Callable[[int], object]) -> None:
    """Until all have ended, or one has failed."""
    while any(process.is_alive() for process in processes):
        if any(process.exitcode for process in processes):
            return
        tell(_answered(folder))
        time.sleep(WAIT)


def _answered(folder: Path) -> int:
    """Units that the parts say they have answered."""
    counts = (folder / PARTS).glob("*/answered")
    return sum(int(path.read_text(encoding="utf-8") or 0) for path in counts)


def _answer_part(
    config: StudyConfig,
    folder: Path,
    recipe: Recipe,
    done: frozenset[tuple[str, int]],
    number: int,
    of: int,
    threads: int | None,
    where: Mapping[str, Any],
) -> None:
    """One process: answer its units that are not done."""
    from saccade.studies.runs.runner import StudyRun, limited_threads

    part = folder / PARTS / str(number)
    try:
        model = load(config.model, **where)
        with limited_threads(threads), RecordStore(part, recipe, config) as store:
            units = [u for u in units_of(config, number, of) if (u.task, u.number) not in done]
            run = StudyRun(config, model, store, lambda *_: _tell(part, len(store.done)), units)
            run.run()
    except (SaccadeError, ValueError, TypeError, OSError) as error:  # what the command line tells
        with suppress(OSError):
            part.mkdir(parents=True, exist_ok=True)
            (part / FAILED).write_text(str(error), encoding="utf-8")
        sys.exit(1)


def _tell(part: Path, answered: int) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        sys.exit(1)  # nobody would take what is answered from here on
    (part / "answered").write_text(str(answered), encoding="utf-8")
