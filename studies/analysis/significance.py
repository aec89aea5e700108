"""Whether a paired difference can be chance, and what a study of its size could have shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom
from scipy.stats import t as student

LEVEL, POWER = 0.05, 0.8
"""Chance of a false alarm that is accepted, and of finding an effect that is asked for."""
EPSILON = 1e-9
"""What sums that cancel may be off by."""


@dataclass(frozen=True, slots=True)
class Change:
    """A mean change over samples that come in clusters; NaN: not defined, as for one cluster.

    Attributes
    ----------
    value : float
        Mean over the samples.
    se : float
        Its standard error, by the clusters' sums (the sandwich estimate with ``G / (G - 1)``);
        that of the mean where each sample is a cluster.
    low, high : float
        95 % interval, by Student's t with ``G - 1`` degrees of freedom.
    clusters : int
    worse, better : int
        Clusters whose sum is below and above zero.
    """

    value: float
    se: float
    low: float
    high: float
    clusters: int
    worse: int
    better: int

    @property
    def p_value(self) -> float:
        """Of the exact test, see `exact_test`."""
        return exact_test(self.worse, self.better)


def exact_test(worse: int, better: int) -> float:
    """Two-sided exact test that pairs change for the worse as often as for the better.

    The binomial test of those that changed: McNemar's exact test where they are right or wrong, the
    sign test otherwise. 1 where nothing changed.

    Raises
    ------
    ValueError
        For a negative number.
    """
    if min(worse, better) < 0:
        raise ValueError(f"worse={worse}, better={better}: numbers of pairs, from 0")
    n = worse + better
    return min(1.0, 2 * float(binom.cdf(min(worse, better), n, 0.5))) if n else 1.0


def clustered_change(changes: ArrayLike, clusters: Sequence[int]) -> Change:
    """Mean of changes (N,), of which those of one cluster may depend on each other.

    Parameters
    ----------
    changes : array (N,)
    clusters : sequence of N int
        Which cluster each belongs to.

    Raises
    ------
    ValueError
        If there are none, or not as many of both.
    """
    values = np.asarray(changes, float)
    if not len(values) or len(values) != len(clusters):
        raise ValueError(f"{len(values)} changes and {len(clusters)} clusters; give one each")
    mean = float(values.mean())
    sums, apart = _sums(values, clusters), _sums(values - mean, clusters)
    n = len(sums)
    worse, better = int((sums < -EPSILON).sum()), int((sums > EPSILON).sum())
    if n < 2:
        return Change(mean, math.nan, math.nan, math.nan, n, worse, better)
    se = math.sqrt(n / (n - 1) * float((apart**2).sum())) / len(values)
    half = float(student.ppf(1 - LEVEL / 2, n - 1)) * se
    return Change(mean, se, mean - half, mean + half, n, worse, better)


def _sums(values: NDArray[np.float64], clusters: Sequence[int]) -> NDArray[np.float64]:
    places = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return np.asarray(np.bincount(places, weights=values), float)


def fewest_pairs() -> int:
    """Changed pairs without which the exact test cannot find anything, even if all are worse."""
    n = 1
    while exact_test(n, 0) > LEVEL:
        n += 1
    return n


def least_effect(change: Change, step: float = 1.0) -> float:
    """The least mean change that so many samples would have shown, as often as `POWER` says.

    By Student's t from the spread that was seen; never less than what the exact test needs:
    `fewest_pairs` clusters that all change the same way. NaN for fewer than two clusters.

    Parameters
    ----------
    change : Change
    step : float
        How much a cluster that changes adds to the mean's sum: 1 for a right answer gone wrong.
    """
    n = change.clusters
    if n < 2:
        return math.nan
    quantiles = student.ppf(1 - LEVEL / 2, n - 1) + student.ppf(POWER, n - 1)
    return max(float(quantiles) * change.se, fewest_pairs() * step / n)
