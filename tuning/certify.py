"""A promise about a preset: its front, tested on samples that no search has seen."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.model import Model
from saccade.controller.certificate import Certificate, Checked, NullRate
from saccade.controller.errors import SaccadeError
from saccade.controller.preset import Preset
from saccade.controller.preset_controller import policy_text
from saccade.controller.preset_names import Found
from saccade.tuning.certificates import (
    cluster_means,
    p_value,
    safest_first,
    samples_needed,
)
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.losses import Loss
from saccade.tuning.splits import Task, linked, split_samples

TUNED = 50
"""Samples of the tune set on which a front is ordered, where a preset does not say how many."""
Progress = Callable[[int, int, str], None]
"""Called with the rounds of answers so far, their most, and what comes next."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be promised.

    Attributes
    ----------
    alpha : float
        Largest mean loss.
    delta : float
        Allowed chance that the promise is broken, over draws of the certify set.
    loss : Loss
    n : int
        Samples of the certify set.
    """

    alpha: float
    delta: float
    loss: Loss
    n: int


def certify(
    model: Model,
    task: Task,
    front: Sequence[Found],
    target: Target,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Preset:
    """Test a front from its safest setting on, and return the preset of the last that passed.

    The order comes from the tune set; the tests use the certify set alone. First the null rate is
    measured: how many answers of the unpruned model differ in another batch order.

    Parameters
    ----------
    model : Model
    task : Task
    front : sequence of Found
        Presets of one backbone, task and generation, with their folders; the first one gives the
        splits. Certificates that they have are passed over.
    target : Target
    command : str
        What the certificate says made it.
    progress : callable, optional

    Returns
    -------
    Preset
        With its certificate. Where the first test fails it is that of the safest setting, and its
        certificate says "abstained": its controller does nothing.

    Raises
    ------
    SaccadeError
        If the model is another one, or the presets are not of one front.
    ValueError
        If the target is not above the null rate.
    """
    presets = [one.preset.model_copy(update={"certificate": None}) for one in front]
    _check_front(presets)
    backbone = fingerprint(model.network)
    if backbone != presets[0].backbone.hash:
        raise SaccadeError(
            f"the preset {presets[0].name!r} was made on another backbone "
            f"({presets[0].backbone.name}) than {model.spec.name}: tune it anew for this one"
        )
    texts = [policy_text(p, one.folder, one.root) for p, one in zip(presets, front, strict=True)]
    rounds = _Rounds(model, task, presets, texts, target, progress)
    null = rounds.null()
    if target.alpha <= null.loss:
        raise ValueError(
            f"at most {target.alpha:.3g} cannot be promised: the unpruned model itself has a loss "
            f"of {null.loss:.3g} against itself in another batch order ({null.n} samples); ask for "
            "more than that"
        )
    order = rounds.order()
    tested, losses, chosen = [], np.zeros(0), None
    for number in order:
        losses = rounds.losses(number)
        one = _tested(presets[number], losses, target, rounds.independent)
        tested.append(one)
        if not one.passed:
            break
        chosen, last = number, losses
    promised = losses if chosen is None else last
    certificate = Certificate(
        outcome="abstained" if chosen is None else "kept",
        loss=target.loss.name,
        max_change=target.alpha,
        confidence=1 - target.delta,
        n=len(promised),
        questions=target.n,
        changed=float(promised.sum()),
        p_value=tested[0 if chosen is None else order.index(chosen)].p_value,
        null=null,
        tested=tuple(tested),
        needed=rounds.needed(float(promised.mean())) if chosen is None else None,
        task=task.name,
        backbone=backbone,
        date=datetime.date.today().isoformat(),
        command=command,
    )
    made = presets[order[0] if chosen is None else chosen]
    splits = presets[0].splits.model_copy(update={"certify": target.n})
    return made.model_copy(update={"certificate": certificate, "splits": splits})


def _check_front(front: Sequence[Preset]) -> None:
    if not front:
        raise ValueError("there is no preset to certify; give one or more")
    for name in ("backbone", "task", "generation", "positions"):
        if any(getattr(one, name) != getattr(front[0], name) for one in front):
            raise SaccadeError(
                f"the presets of a front have one {name}; here it differs between "
                f"{', '.join(repr(one.name) for one in front[:5])}"
            )


def _tested(
    preset: Preset, losses: NDArray[np.float64], target: Target, independent: bool
) -> Checked:
    p = p_value(losses, target.alpha, binary=target.loss.binary and independent)
    return Checked(
        policy=preset.policy,
        pruner=preset.pruner,
        loss=float(losses.mean()),
        p_value=p,
        passed=p <= target.delta,
    )


class _Rounds:
    """Answers on the tune set and on the certify set, and their losses."""

    def __init__(
        self,
        model: Model,
        task: Task,
        front: Sequence[Preset],
        texts: Sequence[str],
        target: Target,
        progress: Progress | None,
    ) -> None:
        self.model, self.task, self.front, self.target = model, task, front, target
        self.texts = texts
        self.progress, self.done = progress, 0
        self.exam = self._evaluation("certify", target.n)
        groups = linked(self.exam.samples)
        self.cluster = {place: i for i, group in enumerate(groups) for place in group}
        self.independent = len(groups) == target.n

    def _evaluation(self, split: str, n: int) -> Evaluation:
        first = self.front[0]
        samples = split_samples(self.task, split, n, first.splits.seed)
        return Evaluation(
            self.model,
            samples,
            first.generation,
            label_free=not self.target.loss.labels,
            positions=first.positions,
            seed=first.splits.seed,
        )

    def null(self) -> NullRate:
        """The loss of the unpruned model against itself, its batches made up otherwise."""
        self._tell("the unpruned model")
        bare = self.exam.bare
        self._tell("the unpruned model, in another order")
        places = list(np.random.default_rng(self.front[0].splits.seed).permutation(len(bare)))
        other = Evaluation(
            self.model,
            [self.exam.samples[place] for place in places],
            self.exam.settings,
            label_free=self.exam.label_free,
            seed=self.exam.seed,
        ).bare
        again = dict(zip(places, other, strict=True))
        losses = [self.target.loss.function(bare[i], again[i]) for i in range(len(bare))]
        return NullRate(loss=fmean(losses), n=len(losses))

    def order(self) -> list[int]:
        """Numbers of the settings, safest first by the tune set; nothing to order is not run."""
        if len(self.front) == 1:
            return [0]
        tune = self._evaluation("tune", self.front[0].splits.tune or TUNED)
        self._tell("the unpruned model on the tune set")
        losses, costs = [], []
        for preset, text in zip(self.front, self.texts, strict=True):
            self._tell(f"ordering: {preset.policy}")
            outcome = tune.score(text, preset.pruner)
            pairs = zip(tune.bare, outcome.answers, strict=True)
            losses.append(fmean(self.target.loss.function(a, b) for a, b in pairs))
            costs.append(outcome.cost)
        return safest_first(losses, costs)

    def losses(self, number: int) -> NDArray[np.float64]:
        """Of a setting on the certify set, one a cluster."""
        preset = self.front[number]
        self._tell(f"testing: {preset.policy}")
        own = self.exam.score(self.texts[number], preset.pruner).answers
        pairs = zip(self.exam.bare, own, strict=True)
        losses = [self.target.loss.function(bare, one) for bare, one in pairs]
        return cluster_means(losses, [self.cluster[i] for i in range(len(losses))])

    def needed(self, rate: float) -> int | None:
        """Samples that would pass at a rate."""
        target = self.target
        binary = target.loss.binary and self.independent
        return samples_needed(rate, target.alpha, target.delta, binary=binary)

    def _tell(self, label: str) -> None:
        if self.progress is not None:
            most = 3 + 2 * len(self.front) if len(self.front) > 1 else 3
            self.progress(self.done, most, label)
        self.done += 1
