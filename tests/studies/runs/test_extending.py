"""A study with more samples in the folder of a run: what is there stays, the rest is added."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from saccade.controller import StudyError
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import Case, StudyConfig, plan_units
from saccade.studies.runs.records import read_run
from saccade.studies.runs.runner import run_study
from tests.studies.unit_files import contents

PAIR = (Case(name="none"), Case(name="half", policy="after_share(0, keep=0.5)", pruner="divprune"))
SMALL = StudyConfig(name="small", samples=3, batch=2, tasks=("yesno", "digit"), cases=PAIR)


def grown(config: StudyConfig, samples: int, **changes: Any) -> StudyConfig:
    return config.model_copy(update={"samples": samples, **changes})


def samples_of(folder: Path) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for record in read_run(folder)[2]:
        if record.case == "none":
            found.setdefault((record.task, record.seed), []).append(record.sample)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_study(SMALL, tmp_path / "run", threads=1)


def test_more_samples_are_added_to_those_that_are_there(run: Path) -> None:
    before = contents(run)
    for samples in (5, 6):
        run_study(grown(SMALL, samples), run, threads=1)
        after = contents(run)
        assert before.items() <= after.items() and len(after) > len(before)
        assert samples_of(run) == {(task, 0): list(range(samples)) for task in SMALL.tasks}
        summary = summarise(run)
        assert (summary.done, set(summary.frame["n"])) == (summary.total, {samples})
        before = after
    recipe = json.loads((run / "recipe.json").read_text())
    assert (recipe["config"]["samples"], recipe["config"]["grown"]) == (6, [3, 5])


def test_an_extended_run_goes_on_and_is_then_only_read(run: Path) -> None:
    def interrupt(done: int, total: int, label: str) -> None:
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="5 of 6 units are kept"):
        run_study(grown(SMALL, 5), run, interrupt, threads=1)
    for _ in range(2):
        run_study(grown(SMALL, 5), run, threads=1)
        assert samples_of(run) == {(task, 0): [*range(5)] for task in SMALL.tasks}
    assert len(contents(run)) == 6


def test_an_unfinished_run_is_extended(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, label: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(SMALL, tmp_path, interrupt, threads=1)
    run_study(grown(SMALL, 4), tmp_path, threads=1)
    assert samples_of(tmp_path) == {(task, 0): [*range(4)] for task in SMALL.tasks}


def test_every_seed_and_every_model_is_extended(tmp_path: Path) -> None:
    models = ("embedded/llada-v", "embedded/lavida-dream")
    one = StudyConfig(
        name="two",
        samples=1,
        batch=2,
        tasks=("digit",),
        cases=PAIR[:1],
        models=models,
        seeds=(3, 4),
    )
    run_study(one, tmp_path, threads=1)
    run_study(grown(one, 2), tmp_path, threads=1)
    for name in ("embedded-llada-v", "embedded-lavida-dream"):
        assert samples_of(tmp_path / name) == {("digit", 3): [0, 1], ("digit", 4): [0, 1]}


def test_fewer_samples_are_refused_in_words(run: Path) -> None:
    with pytest.raises(StudyError, match=r"holds 3 samples .* than the 2 asked for; .* study show"):
        run_study(grown(SMALL, 2), run, threads=1)
    run_study(grown(SMALL, 4), run, threads=1)
    with pytest.raises(StudyError, match="holds 4 samples of every task and seed, more than the 3"):
        run_study(SMALL, run, threads=1)


@pytest.mark.parametrize(
    "changes", [{"batch": 3}, {"seed": 1}, {"tasks": ("yesno",)}, {"cases": PAIR[:1]}], ids=str
)
def test_other_recipes_are_not_extended(run: Path, changes: dict[str, Any]) -> None:
    before = contents(run)
    with pytest.raises(StudyError, match="another recipe. Different: .*config.samples"):
        run_study(grown(SMALL, 5, **changes), run, threads=1)
    assert contents(run) == before


def test_units_stay_what_they_were() -> None:
    small, large = plan_units(SMALL), plan_units(grown(SMALL, 7, grown=(3,)))
    assert set(small) < set(large)
    assert [(u.number, u.samples) for u in large if u.task == "digit"] == [
        (0, (0, 1)),
        (1, (2,)),
        (2, (3, 4)),
        (3, (5, 6)),
    ]


@pytest.mark.parametrize("counts", [(0,), (5, 3), (2, 2), (9,)], ids=str)
def test_counts_ascend(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="must ascend"):
        StudyConfig(name="a", samples=9, cases=PAIR, grown=counts)
