"""What a search has found: its trials, their front, and which setting is taken."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from saccade.tuning.errors import optuna_module
from saccade.tuning.goal import LEAST, Goal
from saccade.tuning.objective import EPSILON
from saccade.tuning.setting import Setting
from saccade.tuning.study import NAME

if TYPE_CHECKING:
    from optuna import Study


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting that was answered in full.

    Attributes
    ----------
    number : int
        Of its trial.
    name : str
        Of one that is always tried; "" of one that was searched.
    policy, pruner
        As in `Setting`.
    score, bare : float
        Its mean score, and the unpruned model's.
    cost : float
        Relative to the unpruned model; lower is better.
    changed : float
        Share of the answers that differ.
    feasible : bool
        Whether its score is allowed.
    """

    number: int
    name: str
    policy: str
    pruner: str | None
    score: float
    bare: float
    cost: float
    changed: float
    feasible: bool

    @property
    def setting(self) -> Setting:
        """Policy and pruner."""
        return Setting(self.policy, self.pruner)

    def plain(self) -> dict[str, Any]:
        """As JSON has it, with the speed-up that its cost means."""
        return asdict(self) | {"ideal": 1 / self.cost}


def all_tried(study: "Study", goal: Goal) -> list[Tried]:
    """Every setting once, in the order of the trials."""
    complete = optuna_module().trial.TrialState.COMPLETE
    found: dict[Setting, Tried] = {}
    for trial in study.get_trials(deepcopy=False):
        own = trial.user_attrs
        if trial.state != complete or not own.get("whole"):
            continue
        made = Tried(
            trial.number,
            own.get(NAME, ""),
            own["policy"],
            own["pruner"],
            own["score"],
            own["bare"],
            own["cost"],
            own["changed"],
            own["score"] >= goal.floor(own["bare"]) - EPSILON,
        )
        found.setdefault(made.setting, made)
    return list(found.values())


def front(tried: Sequence[Tried]) -> list[Tried]:
    """Those that no other beats in score and cost: the cheapest that is allowed first, dearer ones
    after it, then those that lose too much."""
    ordered = sorted(tried, key=lambda one: (one.cost, -one.score, one.number))
    best: list[Tried] = []
    for one in ordered:
        if not best or one.score > best[-1].score:
            best.append(one)
    return sorted(best, key=lambda one: (not one.feasible, one.cost if one.feasible else -one.cost))


def hypervolume(tried: Sequence[Tried]) -> float:
    """What settings dominate, see `area`."""
    relative = [one.score / one.bare if one.bare else 1.0 for one in tried]
    return area(relative, [one.cost for one in tried])


def area(relative: Sequence[float], cost: Sequence[float]) -> float:
    """Area that settings dominate: share of the score above `LEAST` times share of the cost saved,
    relative to the whole; higher is better, 0 for the unpruned model alone.

    Parameters
    ----------
    relative, cost : sequence of float
        Score and cost of each, as shares of the unpruned model's.
    """
    total, reached = 0.0, 0.0
    for own, score in sorted(zip(cost, relative, strict=True), key=lambda pair: pair[0]):
        height = min(1.0, max(0.0, (score - LEAST) / (1 - LEAST)))
        if height > reached and own < 1:
            total += (height - reached) * (1 - own)
            reached = height
    return total
