"""A search in several processes: each has the model, and they share the storage alone."""

import contextlib
import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import torch

from saccade.controller.errors import SaccadeError
from saccade.tuning.errors import TuneError, storage_errors
from saccade.tuning.objective import WORKER
from saccade.tuning.search import LOOK, Job, Watcher, work
from saccade.tuning.storage import shown
from saccade.tuning.study import give_up, running

if TYPE_CHECKING:
    from optuna import Study

LEAVE = 60.0
"""Seconds that workers have to end the batch they are at."""


def work_together(
    job: Job,
    workers: int,
    watch: Watcher | None = None,
    started: Callable[[list[int]], None] | None = None,
) -> None:
    """Run trials in several processes until the budget is spent.

    The trial of one that dies is given to another at once; those left go on.

    Parameters
    ----------
    job : Job
    workers : int
    watch : callable, optional
        Told of the study now and then.
    started : callable, optional
        Told the processes' ids.

    Raises
    ------
    TuneError
        If one fails with an error of its own, or all have died.
    KeyboardInterrupt
        After all have ended, and their trials are queued again.
    """
    context = multiprocessing.get_context("spawn")
    # Without a lock, which a process that was killed might hold for ever.
    stop: Any = context.RawValue("b", 0)
    errors = context.SimpleQueue()
    threads = max(1, (os.cpu_count() or 1) // workers)
    own = [
        context.Process(target=_main, args=(job, i, threads, stop, errors)) for i in range(workers)
    ]
    study = job.open()
    try:
        with _deaf():
            for process in own:
                process.start()
        if started is not None:
            started([process.pid for process in own if process.pid is not None])
        _watch_over(study, job, own, watch)
    except BaseException:
        stop.value = 1
        begun = [process for process in own if process.pid is not None]
        _leave(begun)
        with contextlib.suppress(TuneError), storage_errors(shown(job.url)):
            _rescue(study, begun)
        raise
    if not errors.empty():
        raise TuneError(errors.get())
    _check_deaths(own)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Hold Ctrl-C back while processes begin, which inherit that they do not hear it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch_over(study: "Study", job: Job, own: list[Any], watch: Watcher | None) -> None:
    dead: set[int] = set()
    with storage_errors(shown(job.url)):
        while any(process.is_alive() for process in own):
            time.sleep(LOOK)
            for process in own:
                if process.exitcode not in (None, 0) and process.pid not in dead:
                    dead.add(process.pid)
                    _rescue(study, [process])
            if watch is not None:
                watch(study)


def _rescue(study: "Study", gone: list[Any]) -> None:
    """Queue what processes that have ended were at."""
    names = {f"{platform.node()}:{process.pid}" for process in gone}
    for trial in running(study):
        if trial.user_attrs.get(WORKER) in names:
            give_up(study, trial)


def _check_deaths(own: list[Any]) -> None:
    died = [process.exitcode for process in own if process.exitcode != 0]
    if len(died) == len(own):
        raise TuneError(
            f"all {len(own)} workers ended before their time (exit codes {died}); what was "
            "finished is kept: run the same command again, with fewer --workers if memory is short"
        )


def _leave(own: list[Any]) -> None:
    until = time.monotonic() + LEAVE
    for process in own:
        process.join(max(0.1, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _main(job: Job, number: int, threads: int, stop: Any, errors: Any) -> None:
    """What a worker does. Ctrl-C goes to all processes, and the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    try:
        work(job, job.make(), number, lambda: bool(stop.value))
    except Exception as error:
        said = isinstance(error, SaccadeError | ValueError | TypeError | OSError | ImportError)
        errors.put(str(error) if said else f"unexpected {type(error).__name__}: {error}")
        raise SystemExit(1) from None


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
