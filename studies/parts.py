"""Running a study in several processes: each answers a share of the batches into a part of its own,
and the parts join the run."""

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from saccade.backbones.loading import load
from saccade.controller.errors import StudyError
from saccade.studies.recipe import make_recipe
from saccade.studies.records import RECIPE, RECORDS, Record, RecordStore, read_run
from saccade.studies.study_config import StudyConfig, Unit, plan_units

PARTS = "parts"
"""Folder of the parts, in that of the run; gone when the run is complete."""
WAIT = 0.5
"""Seconds between two looks at the processes."""
Git = Mapping[str, str | None]


def units_of(config: StudyConfig, number: int, of: int) -> tuple[Unit, ...]:
    """Every `of`-th unit of a study, from `number` on."""
    return plan_units(config)[number::of]


def join_parts(folder: Path, store: RecordStore) -> None:
    """Take what parts have answered into the run; units that it has are passed over."""
    for part in sorted((folder / PARTS).glob("*")):
        if not (part / RECIPE).exists() or not (part / RECORDS).exists():
            continue
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
    git: Git,
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
        If a process fails; what was answered is kept.
    """
    join_parts(folder, store)
    total, cases = len(plan_units(config)), len(config.cases)
    if len(store.done) < total:
        shutil.rmtree(folder / PARTS, ignore_errors=True)  # all of it is in the run
        context = multiprocessing.get_context("spawn")
        each = threads or max(1, (os.cpu_count() or 1) // jobs)
        done = frozenset(store.done)
        processes = [
            context.Process(
                target=_answer_part,
                args=(config, folder, dict(git), done, k, jobs, each, dict(where)),
            )
            for k in range(jobs)
        ]
        try:
            for process in processes:
                process.start()
            _wait(processes, folder, lambda n: report and report(
                (len(store.done) + n) * cases, total * cases, f"{jobs} processes"
            ))  # fmt: skip
        finally:
            for process in processes:
                process.terminate()
                process.join()
            join_parts(folder, store)
    if len(store.done) < total:
        raise StudyError(
            f"a process of {jobs} failed (its own message says why): {len(store.done)} of {total} "
            f"units are kept in {folder}; run again to go on"
        )
    shutil.rmtree(folder / PARTS, ignore_errors=True)


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
    return sum(int(path.read_text() or 0) for path in counts)


def _answer_part(
    config: StudyConfig,
    folder: Path,
    git: Git,
    done: frozenset[tuple[str, int]],
    number: int,
    of: int,
    threads: int,
    where: Mapping[str, Any],
) -> None:
    """One process: answer its units that are not done."""
    from saccade.studies.runner import StudyRun, limited_threads

    model, part = load(config.model, **where), folder / PARTS / str(number)
    with limited_threads(threads):
        with RecordStore(part, make_recipe(config, model, git), config) as store:
            units = [u for u in units_of(config, number, of) if (u.task, u.number) not in done]
            run = StudyRun(config, model, store, lambda *_: _tell(part, len(store.done)), units)
            run.run()


def _tell(part: Path, answered: int) -> None:
    (part / "answered").write_text(str(answered))
