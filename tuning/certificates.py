"""The statistics of a promise: p-values, tests in a fixed order, and how many samples it takes.

Learn then test (Angelopoulos and others, arXiv 2110.01052) along a front that was ordered on other
samples (Pareto testing, Laufer-Goldshtein and others, arXiv 2210.07913): the safest setting is
tested first, the first failure ends the tests, and the last that passed is promised. The chance
that the promised setting's true loss is above the target is at most delta, whatever the losses of
the settings are: they need not grow along the order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, nbinom

MOST = 10**9
"""Samples beyond which none are asked for."""
ROUNDING = 1e-9
"""What sums of floats may be off by."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sequence of tests found.

    Attributes
    ----------
    p_values : tuple of float
        Of the settings that were tested, in order.
    passed : int
        How many passed; the last of these is promised, 0 promises none.
    """

    p_values: tuple[float, ...]
    passed: int

    @property
    def chosen(self) -> int | None:
        """Number of the promised setting in the order; None: abstain."""
        return self.passed - 1 if self.passed else None


def binomial_p(changed: int, n: int, alpha: float) -> float:
    """Exact p-value of the hypothesis that answers change at a rate above `alpha`.

    Parameters
    ----------
    changed, n : int
        Changed answers among independent ones.
    alpha : float
        Inside (0, 1).

    Returns
    -------
    float
        Chance of at most so many changes at a rate of `alpha`; smaller is better evidence.

    Raises
    ------
    ValueError
        For numbers out of range.
    """
    _check(n, alpha)
    if not 0 <= changed <= n:
        raise ValueError(f"changed={changed}: must lie in [0, n={n}]")
    return float(binom.cdf(changed, n, alpha))


def hoeffding_bentkus_p(mean: float, n: int, alpha: float) -> float:
    """P-value of the hypothesis that the mean of losses in [0, 1] is above `alpha`.

    The smaller of Hoeffding's (its tight form) and Bentkus's bound, arXiv 2110.01052, section 3.2.

    Parameters
    ----------
    mean : float
        Of the losses seen, in [0, 1].
    n : int
    alpha : float
        Inside (0, 1).

    Raises
    ------
    ValueError
        For numbers out of range.
    """
    _check(n, alpha)
    if not 0 <= mean <= 1:
        raise ValueError(f"mean={mean}: losses lie in [0, 1]")
    hoeffding = math.exp(-n * _divergence(min(mean, alpha), alpha))
    bentkus = math.e * float(binom.cdf(math.ceil(n * mean - ROUNDING), n, alpha))
    return min(1.0, hoeffding, bentkus)


def p_value(losses: ArrayLike, alpha: float, *, binary: bool) -> float:
    """P-value for independent losses: exact for losses of 0 and 1, else Hoeffding-Bentkus.

    Parameters
    ----------
    losses : array of float (n,)
        In [0, 1].
    alpha : float
    binary : bool
        Whether the loss is 0 or 1 by its nature. Not read off the losses: others may look like
        that by chance, and the exact test would not hold for them.

    Raises
    ------
    ValueError
        If there is none, or one out of range.
    """
    values = np.asarray(losses, float)
    if values.ndim != 1 or not len(values) or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError("losses are a list of numbers in [0, 1], one a sample; give one or more")
    if not binary:
        return hoeffding_bentkus_p(float(values.mean()), len(values), alpha)
    if not bool(np.isin(values, (0.0, 1.0)).all()):
        raise ValueError("a loss is between 0 and 1, and was said to be one or the other")
    return binomial_p(int(values.sum()), len(values), alpha)


def fixed_sequence(p_values: Sequence[float], delta: float) -> Verdict:
    """Test in order, each at `delta`, until one fails: no correction for their number is due.

    Parameters
    ----------
    p_values : sequence of float
        In an order that does not depend on the samples they come from.
    delta : float
        Allowed chance of a broken promise, inside (0, 1).
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta={delta}: must lie inside (0, 1); a confidence of 90 % is 0.1")
    passed = next((i for i, p in enumerate(p_values) if not p <= delta), len(p_values))
    return Verdict(tuple(p_values[: passed + 1]), passed)


def pareto_test(
    losses: Sequence[ArrayLike], alpha: float, delta: float, *, binary: bool
) -> Verdict:
    """Test settings in order by their losses on the certify set.

    Parameters
    ----------
    losses : sequence of array of float (n,)
        Of every setting, the safest first, as ordered on other samples.
    alpha : float
        Largest mean loss.
    delta : float
        Allowed chance of a broken promise.
    binary : bool
        As in `p_value`.
    """
    return fixed_sequence([p_value(one, alpha, binary=binary) for one in losses], delta)


def safest_first(losses: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Order of the settings on the tune set: by their loss, at equal loss the cheapest last.

    Settings that cost no less than a safer one are left out: they are not on the front, and every
    test that is not needed risks an early end. Of those with equal losses none is safer, as few
    samples tell; the dearest, which are the most careful as a rule, come first.

    Parameters
    ----------
    losses, costs : sequence of float
        Means on the tune set, one a setting; less is better.

    Returns
    -------
    list of int
        Their numbers, safest first, each cheaper than those before it.
    """
    order = sorted(range(len(losses)), key=lambda i: (losses[i], -costs[i]))
    front: list[int] = []
    for number in order:
        if not front or costs[number] < costs[front[-1]]:
            front.append(number)
    return front


def cluster_means(losses: ArrayLike, clusters: Sequence[object]) -> NDArray[np.float64]:
    """Mean loss of each cluster, in the order of its first sample.

    Questions about one picture are not independent; their mean is, of those about another.

    Parameters
    ----------
    losses : array of float (n,)
    clusters : sequence of n objects
        What each sample belongs to, such as the hash of its picture.
    """
    values = np.asarray(losses, float)
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} losses and {len(clusters)} clusters; give one each")
    members: dict[object, list[float]] = {}
    for value, cluster in zip(values.tolist(), clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return np.array([math.fsum(own) / len(own) for own in members.values()])


def samples_needed(
    rate: float, alpha: float, delta: float, *, binary: bool = True, most: int = MOST
) -> int | None:
    """Least number of samples that pass, if losses go on at a rate.

    Parameters
    ----------
    rate : float
        Mean loss that is expected, in [0, 1]; changes are rounded up, so that 0 means none at all.
    alpha, delta : float
    binary : bool
        Whether losses are 0 or 1.
    most : int
        None is returned beyond so many.

    Returns
    -------
    int or None
        None if no number is enough: the rate is not below the target.
    """
    _check(1, alpha)
    if not 0 < delta < 1:
        raise ValueError(f"delta={delta}: must lie inside (0, 1)")
    if rate >= alpha:
        return None
    if not binary:
        return _least(lambda n: hoeffding_bentkus_p(rate, n, alpha) <= delta, 1, most)
    changes = _least(lambda k: k >= rate * _passing(k, alpha, delta) - ROUNDING, 0, most)
    found = None if changes is None else _passing(changes, alpha, delta)
    return None if found is None or found > most else found


def _passing(changed: int, alpha: float, delta: float) -> int:
    """Least number of samples that pass with so many changes."""
    return changed + 1 + int(nbinom.ppf(1 - delta, changed + 1, alpha))


def _least(passes: Callable[[int], bool], start: int, most: int) -> int | None:
    """Least number from which on something passes, None beyond `most`."""
    step, low = 1, start - 1
    while not passes(low + step):
        low, step = low + step, step * 2
        if low + step > most:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _divergence(a: float, b: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    first = a * math.log(a / b) if a > 0 else 0.0
    return first + ((1 - a) * math.log((1 - a) / (1 - b)) if a < 1 else 0.0)


def _check(n: int, alpha: float) -> None:
    if n < 1:
        raise ValueError(f"n={n}: there must be one sample or more")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha}: must lie inside (0, 1); at most 5 % changed is 0.05")
