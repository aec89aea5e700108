"""Runs of a search: one a trial, and one that ends in the preset."""

import json
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.tracking.from_tune import tune_runs
from saccade.tuning.goal import Goal
from saccade.tuning.result import all_tried, front

optuna = pytest.importorskip("optuna")
STATES = optuna.trial.TrialState


def searched(*costs: float | None) -> Any:
    """A study with trials of these costs; None: one that failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="made-up")
    study.set_user_attr("recipe", {"task": {"name": "code"}})
    for cost in costs:
        own = {"whole": True, "policy": f"auto({cost})", "pruner": None, "score": 0.9, "bare": 0.9}
        trial = optuna.trial.create_trial(
            state=STATES.FAIL if cost is None else STATES.COMPLETE,
            value=cost,
            user_attrs={} if cost is None else own | {"cost": cost, "changed": 0.0},
            intermediate_values={} if cost is None else {1: cost, 0: cost + 1},
        )
        study.add_trial(trial)
    return study


def result_of(study: Any) -> dict[str, Any]:
    rows = [one.plain() for one in front(all_tried(study, Goal()))]
    told = {"name": "mine", "model": "embedded/llada-v", "task": "code", "max_drop": 0.01}
    told |= {"objective": "cost", "trials": len(study.trials), "seconds": 1.5, "bare_score": 0.9}
    return told | {"chosen": rows[0], "front": rows, "sentence": "twice as fast"}


def test_trials_are_grouped_with_their_search(tmp_path: Path) -> None:
    study = searched(1.0, 0.5, None)
    (tmp_path / "result.json").write_text(json.dumps({"a": 1}))
    runs = list(tune_runs(result_of(study), study, Goal(), tmp_path))
    assert [run.kind for run in runs] == ["trial", "trial", "trial", "search"]
    assert {run.group for run in runs} == {"tune-mine"} and len({run.id for run in runs}) == 4
    assert runs[1].summary["ideal"] == 2.0 and runs[2].summary["state"] == "fail"
    assert [place for place, _ in runs[1].series["sample"].points] == [0, 1]
    search = runs[-1]
    assert search.summary["chosen/cost"] == 0.5 and search.summary["sentence"] == "twice as fast"
    assert [values["best cost"] for _, values in search.series["trials"].points] == [1.0, 0.5]
    assert list(search.makes) == ["mine-search"], "there is no preset to send"


def test_ids_stay_when_a_search_goes_on(tmp_path: Path) -> None:
    study = searched(1.0, 0.5)
    before = [run.id for run in tune_runs(result_of(study), study, Goal(), tmp_path)]
    study.add_trial(study.trials[0])
    after = [run.id for run in tune_runs(result_of(study), study, Goal(), tmp_path)]
    assert len(after) == 4 and set(before) < set(after)
