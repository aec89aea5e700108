"""Means, changes and speed-ups of paired measurements, with what they may be wrong by."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from scipy.stats import t as student

K = TypeVar("K", int, tuple[int, int])


def mean_and_se(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and its standard error: NaN for one value, and both for none."""
    if not values:
        return math.nan, math.nan
    se = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), se


def paired_change(baseline: Mapping[K, float], case: Mapping[K, float]) -> tuple[float, float]:
    """Mean change of the score over the same samples, and its standard error (NaN for one)."""
    changes = np.array([case[sample] - baseline[sample] for sample in sorted(case)])
    if len(changes) < 2:
        return float(changes.mean()), math.nan
    return float(changes.mean()), float(changes.std(ddof=1)) / math.sqrt(len(changes))


def paired_speedup(
    baseline: Mapping[int, float], case: Mapping[int, float]
) -> tuple[float, float, float]:
    """Geometric mean over units of baseline over case seconds, and its 95 % interval.

    The interval is Student's, on the logarithms: with the few units of a study a bootstrap would
    be far too narrow.

    Parameters
    ----------
    baseline, case : mapping of int to float
        Seconds of the same units.

    Returns
    -------
    speedup, low, high : float
        `low` and `high` are NaN for a single unit: it says nothing about the spread.
    """
    logs = np.log([baseline[unit] / case[unit] for unit in sorted(case)])
    mean, n = float(logs.mean()), len(logs)
    if n < 2:
        return math.exp(mean), math.nan, math.nan
    half = float(student.ppf(0.975, n - 1) * logs.std(ddof=1)) / math.sqrt(n)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
