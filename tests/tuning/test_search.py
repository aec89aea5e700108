"""Searches in one process: what is always tried, what is found, what is refused, what goes on."""

import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from saccade.tuning.errors import TuneError
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.goal import Goal
from saccade.tuning.objective import Objective
from saccade.tuning.search import Job, work
from saccade.tuning.setting import NOTHING, Setting
from saccade.tuning.storage import default_url
from saccade.tuning.study import START, finished, give_up, queue_first, running
from tests.tuning.tiny_job import FIRST, evaluation, job

COMPLETE, PRUNED = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED


def run(own: Job, evaluated: Evaluation | None = None) -> optuna.Study:
    study = own.open()
    queue_first(study, own.space, own.goal, own.first)
    work(own, evaluated or own.make())
    return own.open()


@pytest.mark.parametrize("goal", [Goal(1.0), Goal(1.0, sampler="gp"), Goal(1.0, sampler="nsga2")])
@pytest.mark.parametrize("front", [False, True])
def test_first_trials_come_first_and_exactly_as_many_are_run(
    tmp_path: Path, goal: Goal, front: bool
) -> None:
    own = job(tmp_path, 16, Goal(1.0, front, goal.sampler))
    study = run(own)
    trials = study.get_trials()
    assert finished(study) == 16 and not running(study)
    names = [trial.user_attrs.get("name") for trial in trials]
    assert names[:3] == ["none", START, "half"] and set(names[3:]) == {None}
    texts = [(t.user_attrs["policy"], t.user_attrs["pruner"]) for t in trials]
    assert texts[0] == ("keep()", None) and trials[0].user_attrs["cost"] == 1
    assert texts[2] == (FIRST["half"].policy, FIRST["half"].pruner)
    assert any(t.user_attrs["cost"] < trials[2].user_attrs["cost"] for t in trials[3:])


def test_a_trial_that_another_worker_ended_first_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, alone = job(tmp_path, 6), Objective.__call__

    def beside(self: Objective, trial: optuna.Trial) -> Any:
        value = alone(self, trial)
        if trial.number == 2:
            own.open().tell(trial.number, state=PRUNED)
        return value

    monkeypatch.setattr(Objective, "__call__", beside)
    study = run(own)
    assert study.get_trials()[2].state == PRUNED and finished(study) == 6


def test_with_everything_allowed_the_cheapest_is_found(tmp_path: Path) -> None:
    study = run(job(tmp_path, 25))
    best = study.best_trial.user_attrs
    assert best["cost"] == min(t.user_attrs["cost"] for t in study.trials)
    assert "share=0.0" in best["policy"]


def test_no_drop_allowed_leaves_what_loses_nothing(tmp_path: Path) -> None:
    study = run(job(tmp_path, 12, Goal(max_drop=0.0)))
    best = study.best_trial.user_attrs
    assert best["whole"] and best["score"] >= best["bare"] - 1e-9 and best["cost"] <= 1
    for trial in study.trials:
        feasible = all(value <= 0 for value in trial.constraints.values())
        if trial.state == COMPLETE:
            assert feasible == (trial.user_attrs["score"] >= trial.user_attrs["bare"] - 2e-9)


@pytest.mark.slow
@pytest.mark.parametrize("front", [False, True])
def test_a_score_out_of_reach_ends_a_trial_and_only_then(tmp_path: Path, front: bool) -> None:
    own = job(tmp_path, 10, Goal(0.0, front), first={"none": NOTHING})
    study = run(own, evaluation(8, label_free=True))
    ended = [t for t in study.trials if "cannot reach" in t.user_attrs.get("ended", "")]
    assert ended
    for trial in ended:
        assert len(trial.user_attrs["losses"]) < 8 and trial.constraints["score"] > 0
        whole = evaluation(8, label_free=True).score(
            trial.user_attrs["policy"], trial.user_attrs["pruner"]
        )
        assert whole.score < own.goal.racing_floor(1.0)


@pytest.mark.slow
def test_what_is_given_is_never_ended_for_its_cost(tmp_path: Path) -> None:
    first = {"none": NOTHING} | {
        f"keep {keep}": Setting.of(f"after_share(0.0, keep={keep})", "uniform()")
        for keep in (0.1, 0.9)
    }
    study = run(job(tmp_path, 30, first=first), evaluation(8))
    given = [t for t in study.trials if t.user_attrs.get("name") in first]
    assert [t.state for t in given] == [COMPLETE] * 3
    pruned = [t for t in study.trials if "costs more" in t.user_attrs.get("ended", "")]
    assert pruned and all(t.state == PRUNED for t in pruned)
    best = min(t.value for t in study.trials if t.state == COMPLETE)
    for trial in pruned:
        whole = evaluation(8).score(trial.user_attrs["policy"], trial.user_attrs["pruner"])
        assert whole.cost > best


def test_a_setting_is_evaluated_once(tmp_path: Path) -> None:
    narrow = {"after_share.share": 0.0, "after_share.keep": {"choices": [0.2, 0.6]}}
    own = job(tmp_path, 9, narrowing=narrow, pruners=["uniform()"])
    study = run(own)
    whole = [t for t in study.trials if t.user_attrs.get("whole")]
    fresh = [t for t in whole if "repeats" not in t.user_attrs]
    assert len({t.user_attrs["policy"] for t in fresh}) == len(fresh) < len(whole)
    for trial in whole:
        first = study.trials[trial.user_attrs.get("repeats", trial.number)]
        assert (first.value, first.user_attrs["policy"]) == (
            trial.value,
            trial.user_attrs["policy"],
        )


@pytest.mark.slow
def test_a_space_that_is_searched_ends_the_search(tmp_path: Path) -> None:
    narrow = {"after_share.share": 0.0, "after_share.keep": {"choices": [0.2, 0.6]}}
    study = run(job(tmp_path, 10_000, narrowing=narrow, pruners=["uniform()"]))
    assert len(study.trials) < 80


@pytest.mark.slow
def test_values_that_exclude_each_other_are_refused_and_the_search_goes_on(tmp_path: Path) -> None:
    own = job(
        tmp_path,
        14,
        policies=["clamp(after_share(0.0, keep=0.5))"],
        narrowing={"clamp.least": [0.0, 1.0], "clamp.most": [0.25, 1.0]},
        goal=Goal(1.0, seed=3),
    )
    study = run(own)
    refused = [t for t in study.trials if "refused" in t.user_attrs]
    assert refused and all("exceeds" in t.user_attrs["refused"] for t in refused)
    assert finished(study) == 14 and study.best_trial.value < 1


def test_another_recipe_of_the_same_name_is_refused_by_what_differs(tmp_path: Path) -> None:
    run(job(tmp_path, 3))
    with pytest.raises(TuneError, match=r"task \(pages there, other here\).*another --study"):
        job(tmp_path, 3, recipe={"model": "tiny", "task": "other"}).open()
    assert finished(job(tmp_path, 3).open()) == 3, "nothing is lost"


def test_a_study_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    other = optuna.create_study(storage=default_url(tmp_path), study_name="tiny")
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(TuneError, match="none of saccade tune"):
        job(tmp_path).open()


def test_a_search_goes_on_where_it_ended(tmp_path: Path) -> None:
    first = [t.user_attrs.get("policy") for t in run(job(tmp_path, 5)).trials]
    study = run(job(tmp_path, 9))
    assert finished(study) == 9
    assert [t.user_attrs.get("policy") for t in study.trials][:5] == first


def test_time_that_is_over_keeps_no_op_and_queues_what_was_at_work(tmp_path: Path) -> None:
    own = job(tmp_path, 50, until=time.time() - 1)
    study = run(own)
    assert finished(study) == 1 and study.best_trial.user_attrs["policy"] == "keep()"
    assert finished(run(job(tmp_path, 4))) == 4


def test_an_interruption_queues_the_trial_at_work_again(tmp_path: Path) -> None:
    own, evaluated = job(tmp_path, 6), evaluation()
    plain, calls = evaluated.score, []

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(*args, **options)

    evaluated.score = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(own, evaluated)
    study = own.open()
    assert finished(study) == 3 and not running(study)
    waiting = study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    assert len(waiting) == 1 and waiting[0].params == study.trials[3].params
    assert finished(run(own)) == 6


def test_the_trial_of_a_dead_worker_is_run_again_with_its_values(tmp_path: Path) -> None:
    own = job(tmp_path, 6)
    study = own.open()
    queue_first(study, own.space, own.goal, own.first)
    dead = study.ask()
    (left,) = running(study)
    give_up(study, left)
    done = run(own)
    assert finished(done) == 6
    assert [t.user_attrs.get("name") for t in done.trials if t.state == COMPLETE].count("none") == 1
    assert dead.number == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is no address"),
        ("redis://localhost", "unknown kind"),
        ("sqlite:////no/such/folder/x.db", "there is no folder"),
        ("journal:////no/such/folder/x", "there is no folder"),
        ("postgresql://me:secret@127.0.0.1:1/x", "cannot be used"),
        ("grpc://nowhere", "give grpc://HOST:PORT"),
    ],
)
def test_storages_that_are_not_there(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(TuneError, match=words) as found:
        job(tmp_path, url=url).open()
    assert "secret" not in str(found.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("hello " * 1000)
    with pytest.raises(TuneError, match="no database"):
        job(tmp_path).open()
    assert (tmp_path / "study.db").read_text().startswith("hello")


def test_a_locked_database(tmp_path: Path) -> None:
    import sqlite3

    own = job(tmp_path, 3, wait=0.2)
    own.open()
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TuneError, match="is locked"):
            work(own, evaluation(1))
        other.rollback()
    assert finished(run(own)) == 3


def test_a_journal_file_is_a_storage(tmp_path: Path) -> None:
    assert finished(run(job(tmp_path, 4, url=f"journal://{tmp_path}/journal"))) == 4


@pytest.mark.slow
def test_measured_time_as_the_objective(tmp_path: Path) -> None:
    study = run(job(tmp_path, 4, Goal(1.0, objective="latency")))
    costs = [t.value for t in study.trials if t.state == COMPLETE]
    assert len(costs) == 4 and all(0.05 < cost < 20 for cost in costs)


@pytest.mark.parametrize("bad", [{"max_drop": 2.0}, {"sampler": "tpee"}, {"objective": "speed"}])
def test_wrong_goals(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Goal(**bad)
