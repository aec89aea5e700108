"""The result of a search: on samples that it never saw, and with measured time."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.backbones.model import Model
from saccade.controller.preset import FrontPoint, Preset, Search, Splits, TaskClass
from saccade.controller.preset_learned import learned_files, take_along
from saccade.controller.trace import Generation
from saccade.studies.config.tuning import TuneConfig
from saccade.studies.runs.backbone import backbone_of
from saccade.studies.runs.device import device_of
from saccade.studies.runs.recipe import versions
from saccade.studies.tasks.answer_classes import Class, answer_class
from saccade.tuning.errors import optuna_module
from saccade.tuning.evaluate import Evaluation, Outcome
from saccade.tuning.goal import Goal
from saccade.tuning.latency import SpeedUp, measure
from saccade.tuning.result import Tried, all_tried, front
from saccade.tuning.setting import NOTHING, Setting
from saccade.tuning.study import NAME, finished

if TYPE_CHECKING:
    from optuna import Study

Project = Callable[[Model, Generation], int]
"""Work that an answer would take the published model; 0 where none is known."""
MEASURED = 3
"""Members of the front whose time is measured; of one of two objectives, all up to `MOST`."""
MOST = 8


def make_result(
    study: "Study",
    goal: Goal,
    test: Evaluation,
    config: TuneConfig,
    command: str = "",
    timed: bool = True,
    project: Project | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """What was found, in plain values, and ``preset_object``.

    The first of the front, which is the cheapest that is allowed, is taken. Its score, its changed
    answers and its cost are those on the test split. Learned models that the front reads are copied
    into the folder.
    """
    members = front(all_tried(study, goal))
    chosen = members[0]
    rows, bare = [], _projected(NOTHING, test, project)[1]
    for place, member in enumerate(members):
        told = timed and place < (MOST if goal.front else MEASURED)
        tested = _tested(member, test, told, project, bare)
        rows.append(member.plain() | _packed(member, folder) | tested)
    trials = study.get_trials(deepcopy=False)
    seconds = sum(t.duration.total_seconds() for t in trials if t.duration is not None)
    result: dict[str, Any] = {
        "name": config.name,
        "model": config.model,
        "task": config.task_object().name,
        "label_free": config.label_free,
        "max_drop": goal.max_drop,
        "objective": goal.objective,
        "trials": finished(study),
        "seconds": round(seconds, 2),
        "samples": {"tune": config.samples.tune, "test": config.samples.test},
        "bare_score": test.bare_score,
        "chosen": rows[0],
        "front": rows,
    }
    waiting = optuna_module().trial.TrialState.WAITING
    names = [t.user_attrs.get(NAME) for t in trials if t.state == waiting]
    result["not_tried"] = [name for name in names if name]
    result["sentence"] = sentence(result)
    return result | {"preset_object": _preset(chosen, result, test, config, command)}


def _packed(member: Tried, folder: Path | None) -> dict[str, Any]:
    """A setting that reads a learned model as presets have it: beside them, by its plain name."""
    if folder is None or not learned_files(member.policy):
        return {}
    policy, learned = take_along(member.policy, folder)
    return {"policy": policy, "learned": None if learned is None else learned.model_dump()}


def _projected(setting: Setting, test: Evaluation, project: Project | None) -> tuple[Outcome, int]:
    """Answers on the test split, and their work at the size of the published model."""
    macs: list[int] = []

    def each(made: Generation) -> None:
        if project is not None:
            macs.append(project(test.model, made))

    return test.score(setting.policy, setting.pruner, each=each), sum(macs)


def _tested(
    member: Tried, test: Evaluation, timed: bool, project: Project | None, bare: int
) -> dict[str, Any]:
    """How a setting does on the test split; `bare` is the projected work of the unpruned model."""
    out, projected = _projected(member.setting, test, project)
    speed: SpeedUp | None = None
    if timed:
        same = member.setting == NOTHING
        speed = SpeedUp(1.0, 1.0, 1.0) if same else measure(test, member.setting)
    return {
        "test_score": out.score,
        "test_relative": out.score / out.bare_score if out.bare_score else 1.0,
        "test_ideal": 1 / out.cost,
        "test_changed": out.changed,
        "projected": bare / projected if projected else None,
        "measured": None if speed is None else speed.mean,
        "measured_low": None if speed is None or math.isnan(speed.low) else speed.low,
        "measured_high": None if speed is None or math.isnan(speed.high) else speed.high,
    }


def sentence(result: dict[str, Any]) -> str:
    """What was gained, in words."""
    own, what = result["chosen"], f"{result['model']} on {result['task']}"
    took = f"{result['trials']} trials, {result['seconds'] / 60:.1f} minutes of work"
    if own["policy"] == NOTHING.policy:
        return (
            f"{what}: nothing found that saves work within the allowed loss; no-op stays ({took})."
        )
    score = "agreement with the unpruned answers" if result["label_free"] else "unpruned score"
    share = own["test_score"] if result["label_free"] else own["test_relative"]
    speed = ""
    if own["measured"] is not None:
        low, high = own["measured_low"], own["measured_high"]
        between = "" if low is None else f", {low:.2f} to {high:.2f}"
        speed = f", measured {own['measured']:.2f}x as fast{between}"
    warned = ""
    if share < 1 - result["max_drop"]:
        warned = (
            f" That is more than the {result['max_drop']:.1%} it was allowed on the samples it was "
            "tuned on: give more of them (samples: tune), or a smaller --max-drop."
        )
    return (
        f"{what}: {own['test_ideal']:.2f}x less work{speed}, at {share:.1%} of the {score}, on "
        f"{result['samples']['test']} samples that the search never saw ({took}).{warned}"
    )


def _preset(
    chosen: Tried, result: dict[str, Any], test: Evaluation, config: TuneConfig, command: str
) -> Preset:
    own = result["chosen"]
    return Preset(
        name=config.name,
        policy=own["policy"],
        pruner=chosen.pruner,
        learned=own.get("learned"),
        backbone=backbone_of(test.model),
        task=TaskClass.model_validate({"name": result["task"], "class": kind_of(config)}),
        generation=dict(test.settings),
        device=device_of(test.model),
        front=FrontPoint(
            score=own["test_score"],
            score_relative=own["test_relative"],
            scored_by="agreement" if config.label_free else "metric",
            ideal=own["test_ideal"],
            projected=own["projected"],
            measured=own["measured"],
            measured_low=own["measured_low"],
            measured_high=own["measured_high"],
        ),
        splits=Splits(seed=config.seed, tune=config.samples.tune, test=config.samples.test),
        search=Search(trials=result["trials"], seconds=result["seconds"], command=command[:2000]),
        versions=versions(),
    )


def kind_of(config: TuneConfig) -> Class:
    """The class of a task's answers, as the configuration or their steps say."""
    return config.kind or answer_class(config.task_object().steps)
