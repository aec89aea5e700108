"""Running a search, in this process: trial after trial, until its budget is spent."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saccade.tuning.errors import TuneError, optuna_module, storage_errors
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.goal import Goal
from saccade.tuning.latency import relative_time
from saccade.tuning.lost import Lost
from saccade.tuning.objective import Objective, RefusedError, StoppedError
from saccade.tuning.setting import Setting
from saccade.tuning.space import Space
from saccade.tuning.storage import GRACE, HEARTBEAT, WAIT, open_storage, shown
from saccade.tuning.study import (
    NAME,
    finished,
    give_up,
    given_up,
    open_study,
    queue_again,
    running,
    unpruned_known,
)

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
        If the storage fails, or the unpruned model has no score that could be kept.
    SaccadeError
        If a sample cannot be answered.
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

    _check_unpruned(evaluation)
    objective = Objective(
        evaluation, job.space, job.goal, job.first, job.best, measure, stopped=over
    )
    lost = Lost(job.url, job.grace)
    with storage_errors(shown(job.url)):
        while not stopped() and not _spent(study, job, over):
            lost.look(study)
            if _to_wait(study, job, over, lost):
                time.sleep(LOOK)
                continue
            objective.present = None
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
    if not unpruned_known(study, next(iter(job.first))):  # which is always there to compare with
        return False
    enough = job.trials is not None and finished(study) >= job.trials
    return enough or over() or _exhausted(study)


def _exhausted(study: "Study") -> bool:
    trials = study.get_trials(deepcopy=False)
    if any(trial.state == optuna_module().trial.TrialState.WAITING for trial in trials):
        return False
    last = [trial for trial in trials if trial.state.is_finished()][-REPEATS:]
    return len(last) == REPEATS and all("repeats" in trial.user_attrs for trial in last)


def _to_wait(study: "Study", job: Job, over: Callable[[], bool], lost: Lost) -> bool:
    """Whether as many trials are at work as are wanted still: another would be one too many."""
    there = [trial for trial in running(study) if lost.lives(trial)]
    if over():  # but for the unpruned model nothing is wanted any more
        return any(trial.user_attrs.get(NAME) == next(iter(job.first)) for trial in there)
    left = math.inf if job.trials is None else max(1, job.trials - finished(study))
    return len(there) >= left


def _check_unpruned(evaluation: Evaluation) -> None:
    """Answer the samples without a controller, so that one which cannot be answered is known."""
    if evaluation.bare_score == 0 and not evaluation.label_free:
        raise TuneError(
            f"the unpruned model scores 0 on all {len(evaluation.samples)} samples, so that there "
            "is nothing to keep: look at its answers, give more samples or another task, or score "
            "by agreement with --label-free"
        )


def _ended_elsewhere(study: "Study", number: int | None) -> bool:
    """Whether another worker ended a trial first: SQLite may hand a queued one to two, who find the
    same, and one whose signs of life were late was taken for dead and queued again."""
    if number is None:
        return False
    state = study.get_trials(deepcopy=False)[number].state
    if state == optuna_module().trial.TrialState.FAIL:
        return given_up(study, number)
    return state.is_finished()


def _put_back(study: "Study", number: int | None) -> None:
    optuna = optuna_module()
    if number is None:
        return
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state == optuna.trial.TrialState.RUNNING:
        give_up(study, trial)
    elif trial.state == optuna.trial.TrialState.FAIL and "refused" not in trial.user_attrs:
        queue_again(study, trial)
