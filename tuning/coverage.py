"""How often a promise would be broken: the whole procedure, drawn again and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saccade.tuning.certificates import pareto_test, safest_first

Losses = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Losses]
"""Gives losses (settings, n) of so many new samples."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What came out of many draws.

    Attributes
    ----------
    draws : int
    broken : int
        Draws in which the promised setting's true loss is above the target.
    abstained : int
        Draws in which nothing was promised.
    naive : int
        Draws broken by taking the cheapest setting whose mean loss is within the target.
    cost : float
        Mean true cost of what was promised; abstaining costs 1.
    """

    draws: int
    broken: int
    abstained: int
    naive: int
    cost: float


def coverage(
    draw: Draw,
    risks: Sequence[float],
    costs: Sequence[float],
    *,
    n: int,
    alpha: float,
    delta: float,
    draws: int,
    n_tune: int = 100,
    binary: bool = True,
    seed: int = 0,
) -> Coverage:
    """Tune, certify and compare with the truth, in many draws of both sets.

    Parameters
    ----------
    draw : callable
        See `Draw`.
    risks, costs : sequence of float
        True mean loss, and cost, of every setting.
    n, n_tune : int
        Samples of the certify set, and of the tune set that gives the order.
    alpha, delta : float
        Largest mean loss, and allowed chance of a broken promise.
    draws : int
    binary : bool
        Whether losses are 0 or 1.
    seed : int
    """
    rng = np.random.default_rng(seed)
    broken = abstained = naive = 0
    paid = 0.0
    for _ in range(draws):
        order = safest_first(draw(rng, n_tune).mean(axis=1).tolist(), costs)
        losses = draw(rng, n)
        chosen = pareto_test([losses[i] for i in order], alpha, delta, binary=binary).chosen
        abstained += chosen is None
        broken += chosen is not None and risks[order[chosen]] > alpha
        paid += 1.0 if chosen is None else costs[order[chosen]]
        within = np.flatnonzero(losses.mean(axis=1) <= alpha).tolist()
        naive += bool(within) and risks[min(within, key=costs.__getitem__)] > alpha
    return Coverage(draws, broken, abstained, naive, paid / draws)


def synthetic(rates: ArrayLike, shared: float = 0.5) -> Draw:
    """Losses of 0 and 1 at given rates, of which a part is about the same samples.

    Parameters
    ----------
    rates : array of float (settings,)
    shared : float
        Share of the samples that are hard for all settings alike, in [0, 1].
    """
    wanted = np.asarray(rates, float)[:, None]

    def draw(rng: np.random.Generator, n: int) -> Losses:
        own, common = rng.random((len(wanted), n)), rng.random(n)
        same = rng.random(n) < shared
        return (np.where(same, common, own) < wanted).astype(float)

    return draw


def resampled(recorded: ArrayLike) -> Draw:
    """Losses (settings, samples) that were recorded, drawn with replacement."""
    whole = np.asarray(recorded, float)

    def draw(rng: np.random.Generator, n: int) -> Losses:
        return whole[:, rng.integers(whole.shape[1], size=n)]

    return draw
