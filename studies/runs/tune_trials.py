"""The trials of a search as one file of plain values, for where its database does not go."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError
from saccade.tuning.errors import optuna_module
from saccade.tuning.study import RECIPE, recipe_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

TRIALS = "trials.json"
MOST = 100_000
"""Trials that a file may hold."""


def trials_text(study: "Study") -> str:
    """All trials in their order, the study's name, directions and recipe, as JSON."""
    trials = study.get_trials(deepcopy=False)
    content = {
        "study": study.study_name,
        "directions": [own.name.lower() for own in study.directions],
        "recipe": recipe_of(study),
        "trials": [_plain(trial) for trial in trials],
    }
    return json.dumps(content) + "\n"


def study_of_trials(content: Any, name: str) -> "Study":
    """The study that a file of trials holds, in memory.

    Parameters
    ----------
    content : object
        What the file's JSON holds.
    name : str
        What errors call it.

    Raises
    ------
    StudyError
        If it is damaged.
    ImportError
        Without optuna.
    """
    optuna = optuna_module()
    try:
        study: Study = optuna.create_study(
            study_name=str(content["study"]), directions=content["directions"]
        )
        study.set_user_attr(RECIPE, content["recipe"])
        if len(content["trials"]) > MOST:
            raise ValueError(f"more than {MOST:,} trials")
        study.add_trials([_trial(own, number) for number, own in enumerate(content["trials"])])
        return study
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"{name} is damaged: {error or type(error).__name__}") from error


def in_memory(found: "Study") -> "Study":
    """A copy of a study, with its name and all of its trials, that needs no storage."""
    study: Study = optuna_module().create_study(
        study_name=found.study_name, directions=[own.name.lower() for own in found.directions]
    )
    study.set_user_attr(RECIPE, found.user_attrs[RECIPE])
    study.add_trials(found.get_trials(deepcopy=False))
    return study


def _plain(trial: "FrozenTrial") -> dict[str, Any]:
    from optuna.distributions import distribution_to_json

    return {
        "state": trial.state.name,
        "values": trial.values,
        "began": _time(trial.datetime_start),
        "ended": _time(trial.datetime_complete),
        "params": trial.params,
        "distributions": {k: distribution_to_json(d) for k, d in trial.distributions.items()},
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "shown": {str(step): value for step, value in trial.intermediate_values.items()},
    }


def _trial(own: Mapping[str, Any], number: int) -> "FrozenTrial":
    from optuna.distributions import json_to_distribution
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState[own["state"]],
        value=None,
        values=own["values"],
        datetime_start=_moment(own["began"]),
        datetime_complete=_moment(own["ended"]),
        params=own["params"],
        distributions={k: json_to_distribution(text) for k, text in own["distributions"].items()},
        user_attrs=own["user_attrs"],
        system_attrs=own["system_attrs"],
        intermediate_values={int(step): value for step, value in own["shown"].items()},
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
