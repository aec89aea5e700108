"""The study of a search: begun or joined, its first trials queued, those of dead workers again."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from saccade.tuning.errors import TuneError, optuna_module
from saccade.tuning.goal import Goal
from saccade.tuning.objective import CHOICE, FIRST, SEARCHED
from saccade.tuning.setting import Setting
from saccade.tuning.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

RECIPE = "recipe"
"""Attribute of the study: what its trials' numbers depend on."""
NAME = "name"
"""Attribute of a trial that is always run."""
START = "default"
"""Name of the first trial that is the policy as it is written."""
MOST_DIFFERENCES = 5
"""Of two recipes, that are told."""
STARTUP = 10
"""Trials at random before a sampler learns from them."""


def open_study(
    storage: "BaseStorage",
    name: str,
    recipe: Mapping[str, Any],
    goal: Goal,
    worker: int = 0,
) -> "Study":
    """Begin a study, or join it.

    Raises
    ------
    TuneError
        If the storage has a study of this name that was begun with another recipe, naming what
        differs.
    """
    optuna = optuna_module()
    directions = ["maximize", "minimize"] if goal.front else ["minimize"]
    study: Study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=directions,
        sampler=make_sampler(goal, worker),
        pruner=optuna.pruners.NopPruner() if goal.front else optuna.pruners.WilcoxonPruner(),
        load_if_exists=True,
    )
    own = json.loads(json.dumps(dict(recipe)))
    there = recipe_of(study)
    if there is None:
        same = [one.name.lower() for one in study.directions] == directions
        if RECIPE in study.user_attrs or study.get_trials(deepcopy=False) or not same:
            raise TuneError(f"the study {name!r} there is none of saccade tune; give another name")
        study.set_user_attr(RECIPE, own)
        study.set_metric_names(["score", "cost"] if goal.front else ["cost"])
    elif there != own:
        raise TuneError(
            f"the study {name!r} there was begun with another recipe: {differences(there, own)}; "
            "give another --study or --out, or the same recipe to go on with it"
        )
    return study


def recipe_of(study: "Study") -> dict[str, Any] | None:
    """The recipe that a study was begun with; None of one that is not of a search of ours."""
    found = study.user_attrs.get(RECIPE)
    ours = isinstance(found, dict) and isinstance(found.get("goal", {}), dict)
    return found if ours else None


def differences(there: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What differs between two recipes, by name; the first few."""
    parts = list(_differences("", there, own))
    more = len(parts) - MOST_DIFFERENCES
    return ", ".join([*parts[:MOST_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])])


def _differences(prefix: str, there: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*there, *own)):
        one, other = there.get(key), own.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(f"{prefix}{key}.", one, other)
        elif one != other:
            yield f"{prefix}{key} ({_short(one)} there, {_short(other)} here)"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def make_sampler(goal: Goal, worker: int = 0) -> "BaseSampler":
    """The sampler of a worker; each has a seed of its own."""
    optuna, seed = optuna_module(), (goal.seed * 1009 + worker) % 2**31
    if goal.sampler == "nsga2":
        made = optuna.samplers.NSGAIISampler(seed=seed, population_size=20)
    elif goal.sampler == "gp":
        made = optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=STARTUP, deterministic_objective=True
        )
    else:
        # Said explicitly: with several objectives its default is off.
        made = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP
        )
    sampler: BaseSampler = made
    return sampler


def queue_first(study: "Study", space: Space, goal: Goal, first: Mapping[str, Setting]) -> None:
    """Queue the trials that are always run, in their order, unless they were before."""
    names = list(first)
    queued = {trial.user_attrs.get(NAME) for trial in study.get_trials(deepcopy=False)}
    if not unpruned_known(study, names[0], coming=True):  # an error ended it: nothing goes without
        queued.discard(names[0])
    every = {name: own.start for name, own in space.parameters.items()}
    for name in [*names[:1], START, *names[1:]]:
        if name in queued:
            continue
        if name == START:
            values = {CHOICE: SEARCHED, **every} if goal.flat else space.start()
            study.enqueue_trial(values, user_attrs={NAME: name})
        else:
            values = {CHOICE: name, **every} if goal.flat else {}
            study.enqueue_trial(values, user_attrs={NAME: name, FIRST: name})


def give_up(study: "Study", trial: "FrozenTrial") -> None:
    """End a trial whose worker is gone, and queue it once more."""
    optuna = optuna_module()
    try:
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):  # ended meanwhile
        return
    queue_again(study, trial)


def queue_again(study: "Study", trial: "FrozenTrial") -> None:
    """Queue a trial that was ended before its time once more, with its values.

    What it had found by then is not handed on: it is not what the new one has found.
    """
    again = copy.deepcopy(trial)
    again.user_attrs = {k: v for k, v in trial.user_attrs.items() if k in (NAME, FIRST)}
    again.system_attrs = {
        k: v for k, v in trial.system_attrs.items() if not k.startswith("constraints")
    }
    optuna_module().storages.RetryHeartbeatStaleTrialCallback()(study, again)


def given_up(study: "Study", number: int) -> bool:
    """Whether somebody took a trial for dead, and queued it again."""
    return any(
        number in trial.system_attrs.get("retry_history", ())
        for trial in study.get_trials(deepcopy=False)
    )


def unpruned_known(study: "Study", name: str, *, coming: bool = False) -> bool:
    """Whether the unpruned model, the first trial by its name, has its result, or is `coming`."""
    states = optuna_module().trial.TrialState
    able = (states.COMPLETE, states.WAITING, states.RUNNING) if coming else (states.COMPLETE,)
    return any(
        trial.user_attrs.get(NAME) == name and trial.state in able
        for trial in study.get_trials(deepcopy=False)
    )


def running(study: "Study") -> "list[FrozenTrial]":
    """Trials that are being run, or were when their worker died."""
    state = optuna_module().trial.TrialState.RUNNING
    return study.get_trials(deepcopy=True, states=(state,))


def finished(study: "Study") -> int:
    """Trials that have ended with a result, or were ended or refused for what they are."""
    states = optuna_module().trial.TrialState
    trials = study.get_trials(deepcopy=False)
    again = {n for trial in trials for n in trial.system_attrs.get("retry_history", ())}

    def has_ended(trial: "FrozenTrial") -> bool:
        if trial.state == states.FAIL:
            return "refused" in trial.user_attrs and trial.number not in again
        return trial.state in (states.COMPLETE, states.PRUNED)

    return sum(map(has_ended, trials))
