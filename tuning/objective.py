"""One trial: a setting is evaluated batch by batch, and ended early where that is hopeless."""

import os
import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import SaccadeError
from saccade.tuning.evaluate import Evaluation, Outcome
from saccade.tuning.goal import Goal
from saccade.tuning.setting import Setting
from saccade.tuning.space import Space

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

FIRST = "first"
"""Attribute of a trial that is given, not searched: its name."""
WORKER = "worker"
"""Attribute of a trial: machine and process that are at it."""
CHOICE = "setting"
"""Parameter of flat spaces: which of the first settings a trial is, or `SEARCHED`."""
SEARCHED = "searched"
EPSILON = 1e-9
SCORE = "score"
"""Name of the constraint."""
Measure = Callable[[Setting], float]
"""Measured time relative to that of the unpruned model."""


class StoppedError(Exception):
    """The search ends before a trial has: it is queued again."""


class RefusedError(Exception):
    """A trial's values do not make a setting that the model can carry out; it counts as failed."""


def worker_name() -> str:
    """Machine and process, so that the trials of one that died are known."""
    return f"{platform.node()}:{os.getpid()}"


class Objective:
    """What Optuna calls.

    Parameters
    ----------
    evaluation : Evaluation
    space : Space
    goal : Goal
    first : mapping of str to Setting
        Settings by the names of the trials that are given.
    best : float
        Highest score that an answer can have.
    measure : callable, optional
        For the objective "latency".
    stopped : callable, optional
        Whether the search is to end; asked after every batch of what may be left for later.

    Attributes
    ----------
    present : int or None
        Number of the trial that is being run, or was last.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        space: Space,
        goal: Goal,
        first: Mapping[str, Setting],
        best: float = 1.0,
        measure: Measure | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.evaluation, self.space, self.goal = evaluation, space, goal
        self.first, self.best, self.measure = dict(first), best, measure
        self.stopped = stopped
        self.present: int | None = None

    def __call__(self, trial: "Trial") -> float | tuple[float, float]:
        """Cost, or score and cost.

        Raises
        ------
        optuna.TrialPruned
            If it cannot become the best any more.
        RefusedError
            If its values make no setting.
        StoppedError
            If the search is to end first.
        """
        self.present = trial.number
        if self.stopped() and not self.is_unpruned(trial):
            raise StoppedError
        trial.set_user_attr(WORKER, worker_name())
        try:
            setting = self._setting(trial)
            self.evaluation.controller(setting.policy, setting.pruner)
        except (SaccadeError, ValueError, TypeError) as error:
            trial.set_user_attr("refused", str(error)[:500])
            raise RefusedError(str(error)) from error
        trial.set_user_attr("policy", setting.policy)
        trial.set_user_attr("pruner", setting.pruner)
        before = self._before(trial, setting)
        return self._evaluated(trial, setting) if before is None else self._again(trial, before)

    def is_unpruned(self, trial: "Trial") -> bool:
        """Whether a trial is the first of those given, which no search goes without."""
        return trial.user_attrs.get(FIRST) == next(iter(self.first), None)

    def _setting(self, trial: "Trial") -> Setting:
        if not self.goal.flat:
            name = trial.user_attrs.get(FIRST)
            return (
                self.space.setting(lambda p: p.suggest(trial)) if name is None else self._of(name)
            )
        chosen = trial.suggest_categorical(CHOICE, [SEARCHED, *self.first])
        searched = self.space.every(lambda p: p.suggest(trial))
        return searched if chosen == SEARCHED else self._of(chosen)

    def _of(self, name: str) -> Setting:
        if name not in self.first:
            raise ValueError(f"no first setting is named {name!r}")
        return self.first[name]

    def _before(self, trial: "Trial", setting: Setting) -> "FrozenTrial | None":
        """An earlier trial of the same setting that has ended: what is exact need not be repeated.

        One that was ended early counts only where its end did not depend on the others.
        """
        if self.goal.objective == "latency":
            return None
        for other in trial.study.get_trials(deepcopy=False):
            attrs = other.user_attrs
            same = (attrs.get("policy"), attrs.get("pruner")) == (setting.policy, setting.pruner)
            if same and other.number != trial.number and attrs.get("whole") and other.values:
                return other
        return None

    def _again(self, trial: "Trial", before: "FrozenTrial") -> float | tuple[float, float]:
        for key in ("score", "cost", "changed", "bare", "costs", "losses", "whole"):
            trial.set_user_attr(key, before.user_attrs[key])
        trial.set_user_attr("repeats", before.number)
        if not self.goal.front:
            for step, value in before.intermediate_values.items():
                trial.report(value, step)
        return self._values(trial, before.user_attrs["score"], before.user_attrs["cost"])

    def _evaluated(self, trial: "Trial", setting: Setting) -> float | tuple[float, float]:
        watch = _Watch(self, trial)
        try:
            out = self.evaluation.score(setting.policy, setting.pruner, watch)
        except _EndedError as ended:
            return self._ended(trial, ended)
        except SaccadeError as error:  # a drop that only its step shows to be impossible
            trial.set_user_attr("refused", str(error)[:500])
            raise RefusedError(str(error)) from error
        cost = out.cost if self.measure is None else self.measure(setting)
        _keep(trial, out, cost, whole=True)
        return self._values(trial, out.score, cost)

    def _ended(self, trial: "Trial", ended: "_EndedError") -> float | tuple[float, float]:
        from optuna import TrialPruned

        out = ended.outcome
        _keep(trial, out, out.cost, whole=False)
        trial.set_user_attr("ended", ended.why)
        trial.set_constraint(SCORE, self._lack(ended.score))
        if self.goal.front:
            return ended.score, out.cost
        raise TrialPruned(ended.why)

    def _values(self, trial: "Trial", score: float, cost: float) -> float | tuple[float, float]:
        trial.set_constraint(SCORE, self._lack(score))
        return (score, cost) if self.goal.front else cost

    def _lack(self, score: float) -> float:
        """How far a score is below what is allowed; 0 or less if it is not."""
        return self.goal.racing_floor(self.evaluation.bare_score) - score - EPSILON


class _EndedError(Exception):
    def __init__(self, outcome: Outcome, score: float, why: str) -> None:
        super().__init__(why)
        self.outcome, self.score, self.why = outcome, score, why


class _Watch:
    """Looks at a trial after every batch."""

    def __init__(self, objective: Objective, trial: "Trial") -> None:
        self.own, self.trial, self.seen = objective, trial, 0
        # What is given is run whatever the others show; only a score that cannot be reached any
        # more ends it.
        self.races = not (
            objective.goal.front
            or objective.measure is not None
            or FIRST in trial.user_attrs
            or trial.params.get(CHOICE, SEARCHED) != SEARCHED
        )

    def __call__(self, out: Outcome) -> None:
        total, n = len(self.own.evaluation.samples), len(out.answers)
        got = sum(answer.score for answer in out.answers)
        possible = (got + (total - n) * self.own.best) / total
        if not self.own.goal.front and self.own.measure is None:
            for place in range(self.seen, n):
                self.trial.report(out.costs[place], place)
        self.seen = n
        if n == total:
            return
        if self.own.stopped() and not self.own.is_unpruned(self.trial):
            raise StoppedError
        floor = self.own.goal.racing_floor(out.bare_score)
        if possible < floor - EPSILON:
            why = f"after {n} of {total} samples its score cannot reach {floor:.4g} any more"
            raise _EndedError(out, possible, why)
        if self.races and self.trial.should_prune():
            rest = sum(answer.score for answer in self.own.evaluation.bare[n:])
            why = f"after {n} of {total} samples it costs more than the best one"
            raise _EndedError(out, (got + rest) / total, why)


def _keep(trial: "Trial", out: Outcome, cost: float, *, whole: bool) -> None:
    """What the tables and the front are made of."""
    facts: dict[str, Any] = {
        "score": out.score,
        "cost": cost,
        "changed": out.changed,
        "bare": out.bare_score,
        "costs": [round(value, 6) for value in out.costs],
        "losses": [round(value, 6) for value in out.losses],
        "whole": whole,
    }
    for key, value in facts.items():
        trial.set_user_attr(key, value)
