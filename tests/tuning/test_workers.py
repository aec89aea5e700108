"""Searches in two processes: one that is killed, errors of their own, and what they find."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import optuna
import pytest

from saccade.tuning.errors import TuneError
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.search import Job, work
from saccade.tuning.study import finished, queue_first, running
from saccade.tuning.workers import work_together
from tests.tuning import postgres
from tests.tuning.tiny_job import evaluation, job

SMALL = {
    "narrowing": {"after_share.share": 0.0, "after_share.keep": {"choices": [0.2, 0.4, 0.6]}},
    "pruners": ["uniform()"],
}


class Slow(Evaluation):
    """Long enough at every setting to be killed meanwhile."""

    def score(self, *args: object, **options: object):  # type: ignore[no-untyped-def, override]
        time.sleep(0.7)
        return super().score(*args, **options)  # type: ignore[arg-type]


def slow() -> Evaluation:
    own = evaluation(2)
    own.__class__ = Slow
    return own


def broken() -> Evaluation:
    raise ValueError("there is no such page")


def results(study: optuna.Study) -> dict[str, float]:
    return {
        t.user_attrs["policy"]: t.value
        for t in study.trials
        if t.value is not None and t.user_attrs.get("whole")
    }


def check_a_killed_worker(folder: Path, **changes: object) -> None:
    """Two workers of whom one is killed; the tiny space has three settings besides those given, so
    that they find all of it, as one does."""
    own = job(folder, 12, make=slow, **SMALL, **changes)
    study = own.open()
    queue_first(study, own.space, own.goal, own.first)
    killed: list[int] = []

    def kill(pids: list[int]) -> None:
        def when_at_work() -> None:
            while not killed:
                for trial in running(study):
                    name = trial.user_attrs.get("worker", ":0")
                    pid = int(name.rpartition(":")[2])
                    if pid in pids and trial.number >= 1:
                        os.kill(pid, signal.SIGKILL)
                        killed.append(trial.number)
                        return
                time.sleep(0.05)

        threading.Thread(target=when_at_work, daemon=True).start()

    work_together(own, 2, started=kill)
    done = own.open()
    assert finished(done) >= 12 and not running(done)
    (number,) = killed
    lost = done.trials[number]
    assert lost.state == optuna.trial.TrialState.FAIL
    repeated = [t for t in done.trials if t.system_attrs.get("failed_trial") == number]
    assert repeated and repeated[0].state == optuna.trial.TrialState.COMPLETE
    alone = job(folder, 12, study="alone", **SMALL)
    queue_first(alone.open(), alone.space, alone.goal, alone.first)
    work(alone, evaluation(2))
    one = results(alone.open())
    assert results(done) == one and done.best_value == alone.open().best_value


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_the_second_finds_what_one_finds(tmp_path: Path) -> None:
    check_a_killed_worker(tmp_path)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.skipif(postgres.problem() is not None, reason=str(postgres.problem()))
def test_the_same_on_a_postgresql_server(tmp_path: Path) -> None:
    with postgres.server(tmp_path) as url:
        check_a_killed_worker(tmp_path, url=url)


@pytest.mark.slow
def test_signs_of_life_alone_tell_another_machine_of_a_death(tmp_path: Path) -> None:
    """Nobody watches over this worker: its trial is run again when its signs of life end."""
    own = job(tmp_path, 4, heartbeat=1, grace=2)
    study = own.open()
    queue_first(study, own.space, own.goal, own.first)
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=work_slowly, args=(own,))
    worker.start()
    while not running(study):
        time.sleep(0.05)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    work(own, evaluation(2))
    assert finished(own.open()) == 4 and not running(own.open())
    names = [t.user_attrs.get("name") for t in own.open().trials if t.value is not None]
    assert names.count("none") == 1


def work_slowly(own: Job) -> None:
    evaluated = evaluation(2)
    evaluated.__class__ = Endless
    work(own, evaluated)


class Endless(Evaluation):
    """Never done."""

    def score(self, *args: object, **options: object):  # type: ignore[no-untyped-def, override]
        time.sleep(600)


@pytest.mark.slow
def test_an_error_of_the_workers_is_told_as_it_is(tmp_path: Path) -> None:
    own = job(tmp_path, 3, make=broken)
    queue_first(own.open(), own.space, own.goal, own.first)
    with pytest.raises(TuneError, match="there is no such page"):
        work_together(own, 2)
