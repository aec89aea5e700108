"""Trials of processes that died, of late ones, and no-op, which no search goes without."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from saccade.controller.errors import SaccadeError
from saccade.tuning.errors import TuneError
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.goal import Goal
from saccade.tuning.lost import Lost
from saccade.tuning.objective import FIRST, WORKER, Objective, worker_name
from saccade.tuning.search import Job, work
from saccade.tuning.study import (
    NAME,
    finished,
    give_up,
    open_study,
    queue_first,
    recipe_of,
    running,
    unpruned_known,
)
from tests.tuning.tiny_job import evaluation, job

STATES = optuna.trial.TrialState


def begun(own: Job) -> optuna.Study:
    study = own.open()
    queue_first(study, own.space, own.goal, own.first)
    return study


def gone() -> str:
    """Name of a worker of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return f"{worker_name().rpartition(':')[0]}:{process.pid}"


@pytest.mark.parametrize(
    ("kind", "named"), [("sqlite", False), ("journal", False), ("journal", True)]
)
def test_a_search_ends_though_a_trial_is_left_by_one_that_died(
    tmp_path: Path, kind: str, named: bool
) -> None:
    own = job(tmp_path, 5, url=f"{kind}:///{tmp_path}/shared", grace=1)
    trial = begun(own).ask()
    if named:
        trial.set_user_attr(WORKER, gone())
    work(own, evaluation(2))
    study = own.open()
    assert finished(study) == 5 and not running(study)
    assert study.trials[0].state == STATES.FAIL and unpruned_known(study, "none")


def test_trials_of_another_machine_are_not_waited_for_where_nothing_tells_of_its_life(
    tmp_path: Path,
) -> None:
    own = job(tmp_path, 4, url=f"journal://{tmp_path}/journal")
    begun(own)
    work(job(tmp_path, 1, url=own.url), evaluation(2))
    own.open().ask().set_user_attr(WORKER, "elsewhere:1")
    work(own, evaluation(2))
    assert finished(own.open()) == 4 and len(running(own.open())) == 1


def test_a_trial_without_a_name_has_its_grace(tmp_path: Path) -> None:
    own = job(tmp_path)
    study, lost = begun(own), Lost(own.url, 60)
    study.ask()
    lost.look(study)
    assert len(running(study)) == 1
    lost.grace = 0
    lost.look(study)
    assert not running(study)


def test_what_is_queued_again_has_its_values_and_none_of_its_results(tmp_path: Path) -> None:
    study = begun(job(tmp_path))
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    for key in ("whole", "repeats", "refused", "score", WORKER):
        trial.set_user_attr(key, True)
    trial.set_constraint("score", 1.0)
    give_up(study, running(study)[0])
    again = study.trials[-1]
    assert again.state == STATES.WAITING and again.params == study.trials[0].params != {}
    assert again.user_attrs == {NAME: "none", FIRST: "none"} and not again.constraints
    assert finished(study) == 0


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_no_op_is_there_though_its_worker_died_and_time_is_over(
    tmp_path: Path, sampler: str
) -> None:
    own = job(tmp_path, None, Goal(1.0, sampler=sampler), until=time.time() - 1)  # type: ignore[arg-type]
    study = begun(own)
    study.ask()
    give_up(study, running(study)[0])  # now behind all others
    work(own, evaluation(2))
    (done,) = [t for t in own.open().trials if t.state == STATES.COMPLETE]
    assert done.user_attrs["policy"] == "keep()" and not running(study)


def test_no_op_that_an_error_ended_is_queued_anew(tmp_path: Path) -> None:
    own = job(tmp_path, 3)
    study = begun(own)
    study.tell(study.ask(), state=STATES.FAIL)
    begun(own)
    work(own, evaluation(2))
    assert unpruned_known(own.open(), "none") and finished(own.open()) == 3


def test_one_that_was_taken_for_dead_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signs of life were late: another has its trial."""
    own, alone = job(tmp_path, 6), Objective.__call__

    def late(self: Objective, trial: optuna.Trial) -> Any:
        if trial.number == 2:
            other = own.open()
            give_up(other, other.get_trials()[2])
        return alone(self, trial)

    monkeypatch.setattr(Objective, "__call__", late)
    begun(own)
    work(own, evaluation(2))
    study = own.open()
    assert study.trials[2].state == STATES.FAIL and finished(study) == 6
    assert sum(t.user_attrs.get(NAME) == "half" for t in study.trials if t.value) == 1


def test_an_error_in_a_trial_is_no_late_one(tmp_path: Path) -> None:
    evaluated = evaluation(2)
    evaluated.score = lambda *_, **__: int("x")  # type: ignore[method-assign, assignment]
    begun(job(tmp_path))
    with pytest.raises(ValueError, match="invalid literal"):
        work(job(tmp_path), evaluated)


def test_an_interruption_before_a_trial_queues_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = job(tmp_path, 6)
    begun(own)
    work(job(tmp_path, 2), evaluation(2))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna.Study, "ask", interrupted)
    before = len(own.open().trials)
    with pytest.raises(KeyboardInterrupt):
        work(own, evaluation(2))
    assert len(own.open().trials) == before


def test_a_model_that_is_never_right_has_no_score_to_keep(tmp_path: Path) -> None:
    class Wrong(Evaluation):
        bare_score = 0.0

    own, evaluated = job(tmp_path, 3), evaluation(2)
    evaluated.__class__ = Wrong
    begun(own)
    with pytest.raises(TuneError, match=r"scores 0 on all 2 samples.*--label-free"):
        work(own, evaluated)
    assert finished(own.open()) == 0


def test_a_sample_that_cannot_be_answered_is_no_refused_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, evaluated = job(tmp_path, 3), evaluation(2)

    def unread(*_: object) -> None:
        raise SaccadeError("sample 1: no picture")

    monkeypatch.setattr(Evaluation, "_inputs", unread)
    begun(own)
    with pytest.raises(SaccadeError, match="no picture"):
        work(own, evaluated)
    assert finished(own.open()) == 0


@pytest.mark.parametrize(
    ("recipe", "directions"),
    [("soup", ["minimize"]), (None, ["maximize"]), (None, ["minimize", "minimize"])],
)
def test_a_study_of_another_program_is_refused(
    tmp_path: Path, recipe: str | None, directions: list[str]
) -> None:
    own = job(tmp_path)
    other = optuna.create_study(storage=own.url, study_name="tiny", directions=directions)
    if recipe is not None:
        other.set_user_attr("recipe", recipe)
    assert recipe_of(other) is None
    with pytest.raises(TuneError, match="is none of saccade tune"):
        own.open()


def test_recipes_are_told_apart_by_the_innermost_names(tmp_path: Path) -> None:
    storage: Any = optuna.storages.InMemoryStorage()
    many = {f"x{i}": i for i in range(9)}
    open_study(storage, "s", {"goal": {"sampler": "tpe", "seed": 0}, "space": many}, Goal())
    with pytest.raises(TuneError, match=r"goal\.sampler \(tpe there, gp here\); give"):
        open_study(storage, "s", {"goal": {"sampler": "gp", "seed": 0}, "space": many}, Goal())
    with pytest.raises(TuneError, match=r"space\.x3 .* and 6 more; give"):
        open_study(storage, "s", {"goal": {"sampler": "gp", "seed": 0}, "space": {"y": 1}}, Goal())
