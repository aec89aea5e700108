"""What an answer that a policy changed may cost: losses between 0 and 1, by their names."""

from collections.abc import Callable
from dataclasses import dataclass

from saccade.controller.names import unknown_name
from saccade.tuning.agreement import agreement
from saccade.tuning.evaluate import Answer


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of a controlled answer against the unpruned one.

    Attributes
    ----------
    name : str
    measures : str
        In one sentence.
    binary : bool
        Whether it is 0 or 1 by its nature.
    function : callable
        ``function(bare, own)``, in [0, 1]; 0 where nothing is lost.
    labels : bool
        Whether it needs right answers.
    """

    name: str
    measures: str
    binary: bool
    function: Callable[[Answer, Answer], float]
    labels: bool = False


def _changed(bare: Answer, own: Answer) -> float:
    return float(bare.tokens != own.tokens)


def _edits(bare: Answer, own: Answer) -> float:
    return 1 - agreement(own.tokens, bare.tokens)


def _lost(bare: Answer, own: Answer) -> float:
    return min(1.0, max(0.0, bare.score - own.score))


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("changed", "Whether the answer differs from the unpruned one.", True, _changed),
        Loss("edits", "Share of the answer's tokens that were edited.", False, _edits),
        Loss("lost", "What the task's metric loses; a gain counts as nothing.", False, _lost, True),
    )
}
"""Our own, by name."""


def loss_named(name: str) -> Loss:
    """A loss by its name; `ValueError` that lists the known if there is none."""
    if name not in LOSSES:
        raise ValueError(unknown_name("loss", name, LOSSES))
    return LOSSES[name]
