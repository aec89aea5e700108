"""Positions as ascending int64 arrays on the host. numpy's own set operations sort what is sorted
already, and take longer than a small model's layer."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@lru_cache(1024)
def run_of(start: int, n: int) -> Places:
    """Positions from `start` on: the same array each time, so that equal ones are known by it."""
    places = np.arange(start, start + n)
    places.flags.writeable = False
    return places


def among(values: Places, others: Places) -> NDArray[np.bool_]:
    """Which of some positions are among others, which ascend."""
    if not len(others):
        return np.zeros(len(values), dtype=bool)
    at = others.searchsorted(values)
    at[at == len(others)] = 0  # beyond the last one: the first is another, too
    found: NDArray[np.bool_] = others[at] == values
    return found


def without(values: Places, others: Places) -> Places:
    """Those positions that are not among others, which ascend."""
    return values[~among(values, others)]
