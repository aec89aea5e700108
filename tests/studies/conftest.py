"""Runs of studies made up for tests, on disk as the runner would leave them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.config.cases import settings_of
from saccade.studies.config.study import Case, StudyConfig, plan_units
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import unit_file

N_VISUAL, N_LAYERS, STEPS = 100, 4, 4
Change = Callable[[Record], Record]


def blank_record(case: str, task: str, sample: int, unit: int) -> Record:
    """A right answer in four steps that compute all of 100 visual tokens in four layers."""
    return Record(
        case=case,
        task=task,
        sample=sample,
        unit=unit,
        position=0,
        answer="Yes",
        expected="Yes",
        score=1.0,
        exact=1.0,
        rows=1.0,
        symbols=1.0,
        seconds=0.9,
        prepare_seconds=0.1,
        forwards=STEPS,
        response=8,
        macs=900,
        macs_paper=800,
        prepare_macs=100,
        n_visual=N_VISUAL,
        visual_tokens=N_VISUAL * N_LAYERS * STEPS,
        visual_tokens_ratio=1.0,
        keep=[1.0] * STEPS,
        visual_runs=[(STEPS, [N_VISUAL] * N_LAYERS)],
    )


def fake_recipe(config: StudyConfig) -> dict[str, Any]:
    recipe = {
        "config": config.model_dump(mode="json"),
        "cases": {case.name: {"policy": "None", "pruner": "None"} for case in config.cases},
        "settings": {
            task: settings_of(config.cases[0], config.task_of(task)) for task in config.tasks
        },
        "backbone": {"name": config.model, "origin": "from-scratch"},
        "versions": {"saccade": "0.1.0"},
        "hardware": {"cpu": "a processor", "threads": 1, "gpu": None},
        "seed": config.seed,
    }
    plain: dict[str, Any] = json.loads(json.dumps(recipe))
    return plain


def write_run(folder: Path, config: StudyConfig, change: Change, units: int | None = None) -> Path:
    """Write `units` units of a run (all by default), every record changed from a blank one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(fake_recipe(config)))
    shutil.rmtree(folder / "units", ignore_errors=True)
    for unit in plan_units(config)[:units]:
        records = [
            change(blank_record(case.name, unit.task, sample, unit.number))
            for case in config.cases
            for sample in unit.samples
        ]
        path = unit_file(folder, config, unit)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(record.line() for record in records))
    return folder


@pytest.fixture
def config() -> StudyConfig:
    """Two cases on two tasks, five samples in batches of two."""
    half = "after_share(share=0.5, keep=0.25)"
    cases = (Case(name="none"), Case(name="half", policy=half, pruner="random"))
    return StudyConfig(name="made-up", samples=5, batch=2, tasks=("yesno", "code"), cases=cases)


@pytest.fixture
def made_run(tmp_path: Path) -> Callable[..., Path]:
    """``made_run(config, change=..., units=...)`` writes a run and returns its folder."""

    def make(
        config: StudyConfig, change: Change = lambda record: record, units: int | None = None
    ) -> Path:
        return write_run(tmp_path / "run", config, change, units)

    return make


@pytest.fixture
def recipe_of() -> Callable[[StudyConfig], dict[str, Any]]:
    """A made-up recipe of a study."""
    return fake_recipe


@pytest.fixture
def blank() -> Callable[..., Record]:
    """``blank(case, task, sample, unit, **changes)`` makes one record."""
    return lambda *key, **changes: replace(blank_record(*key), **changes)
