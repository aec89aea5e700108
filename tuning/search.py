"""Running a search, in this process: trial after trial, until its budget is spent."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saccade.tuning.errors import optuna_module, storage_errors
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.goal import Goal
from saccade.tuning.latency import relative_time
from saccade.tuning.objective import Objective, RefusedError, StoppedError
from saccade.tuning.setting import Setting
from saccade.tuning.space import Space
from saccade.tuning.storage import GRACE, HEARTBEAT, WAIT, open_storage, shown
from saccade.tuning.study import finished, open_study, queue_again, running

if TYPE_CHECKING:
    from optuna import Study

REPEATS = 40
"""Trials in a row that repeat earlier ones, after which a space counts as searched."""
LOOK = 0.3
"""Seconds between looks at what other workers do."""
Watcher = Callable[["Study"], None]
"""Told of the study after every trial."""


@dataclass(frozen=True)
class Job:
    """All that a worker has to know; it can be sent to another process.

    Attributes
    ----------
    url, study : str
        Of the storage, and name in it.
    recipe : mapping
        What the numbers depend on.
    goal : Goal
    policies, pruners, narrowing
        As in `Space`.
    first : mapping of str to Setting
        What is always tried, by name; the first is the unpruned model.
    make : callable
        Makes the evaluation.
    trials : int or None
        How many there are to be, those before included.
    until : float or None
        Time (seconds since the epoch) at which it ends.
    best : float
        Highest score of an answer.
    heartbeat, grace, wait
        As in `open_storage`.
    """

    url: str
    study: str
    recipe: Mapping[str, Any]
    goal: Goal
    policies: Sequence[str]
    pruners: Sequence[str]
    narrowing: Mapping[str, Any]
    first: Mapping[str, Setting]
    make: Callable[[], Evaluation]
    trials: int | None = None
    until: float | None = None
    best: float = 1.0
    heartbeat: int = HEARTBEAT
    grace: int = GRACE
    wait: float = WAIT

    @property
    def space(self) -> Space:
        """The space, made anew."""
        return Space(self.policies, self.pruners, self.narrowing)

    def open(self, worker: int = 0) -> "Study":
        """Its study; errors of the storage are `TuneError`."""
        storage = open_storage(self.url, heartbeat=self.heartbeat, grace=self.grace, wait=self.wait)
        with storage_errors(shown(self.url)):
            return open_study(storage, self.study, self.recipe, self.goal, worker)


def work(
    job: Job,
    evaluation: Evaluation,
    worker: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    watch: Watcher | None = None,
) -> None:
    """Run trials until the budget is spent.

    Raises
    ------
    TuneError
        If the storage fails.
    KeyboardInterrupt
        After the trial at work has been queued again.
    """

    def over() -> bool:
        return stopped() or (job.until is not None and time.time() >= job.until)

    study = job.open(worker)
    measure = None
    if job.goal.objective == "latency":

        def measure(setting: Setting) -> float:
            return relative_time(evaluation, setting)

    objective = Objective(
        evaluation, job.space, job.goal, job.first, job.best, measure, stopped=over
    )
    with storage_errors(shown(job.url)):
        while not _spent(study, job, over):
            if _all_at_work(study, job):
                time.sleep(LOOK)
                _revive(study)
                continue
            try:
                study.optimize(objective, n_trials=1, catch=(RefusedError,))
            except (StoppedError, KeyboardInterrupt) as error:
                _put_back(study, objective.present)
                if isinstance(error, KeyboardInterrupt):
                    raise
            except ValueError:
                if not _ended_elsewhere(study, objective.present):
                    raise
            if watch is not None:
                watch(study)


def _spent(study: "Study", job: Job, over: Callable[[], bool]) -> bool:
    if job.trials is not None and finished(study) >= job.trials:
        return True
    # The unpruned model is always there to compare with.
    return (over() and finished(study) > 0) or _exhausted(study)


def _exhausted(study: "Study") -> bool:
    last = study.get_trials(deepcopy=False)[-REPEATS:]
    return len(last) == REPEATS and all("repeats" in trial.user_attrs for trial in last)


def _all_at_work(study: "Study", job: Job) -> bool:
    """Whether as many trials are at work as are wanted still: another would be one too many."""
    if job.trials is None:
        return False
    left = job.trials - finished(study)
    return left > 0 and len(running(study)) >= left


def _revive(study: "Study") -> None:
    """Queue the trials of workers that gave no sign of life for too long."""
    optuna_module().storages.fail_stale_trials(study)


def _ended_elsewhere(study: "Study", number: int | None) -> bool:
    """Whether another worker ran the same trial and ended it first: SQLite may hand a queued trial
    to two. Both find the same, and what the first wrote stands."""
    if number is None:
        return False
    state = study.get_trials(deepcopy=False)[number].state
    return state.is_finished() and state != optuna_module().trial.TrialState.FAIL


def _put_back(study: "Study", number: int | None) -> None:
    optuna = optuna_module()
    if number is None:
        return
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state == optuna.trial.TrialState.FAIL and "refused" not in trial.user_attrs:
        queue_again(study, trial)
