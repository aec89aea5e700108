"""The risk that an answer changes, from features: boosted trees or a line, as plain arrays."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Single = NDArray[np.float32]


def sigmoid(values: Floats) -> Floats:
    """Chances of log-odds, which may be of any size."""
    clipped = np.clip(values, -700.0, 700.0)  # where exp neither overflows nor warns
    return np.asarray(1.0 / (1.0 + np.exp(-clipped)))


@dataclass(frozen=True, eq=False)
class Trees:
    """The sum of complete binary trees: at each node, left where the feature is not above.

    Attributes
    ----------
    feature : int64 array (T, 2**depth - 1)
        Number of the feature that a node looks at; the children of node i are 2 i + 1 and 2 i + 2.
    threshold : float64 array (T, 2**depth - 1)
    leaf : float64 array (T, 2**depth)
        What each tree adds.
    base : float
    """

    feature: NDArray[np.int64]
    threshold: Floats
    leaf: Floats
    base: float

    @cached_property
    def _flat(self) -> tuple[NDArray[np.int64], Single, Floats, NDArray[np.int64]]:
        """Feature and threshold of every node, first those of the roots; leaves and their starts.

        A value is above a threshold in double precision exactly if, rounded to single precision, it
        is above the largest single that is not above the threshold.
        """
        below = self.threshold.T.astype(np.float32)
        above = below > self.threshold.T
        below[above] = np.nextafter(below[above], np.float32(-np.inf))
        starts = np.arange(len(self.leaf), dtype=np.int64) * self.leaf.shape[1]
        return self.feature.T.ravel(), below.ravel()[:, None], self.leaf.ravel(), starts[:, None]

    @property
    def depth(self) -> int:
        """Levels above the leaves."""
        return int(self.leaf.shape[1]).bit_length() - 1

    @property
    def used(self) -> frozenset[int]:
        """Features that decide anything: no leaf depends on the others."""
        return frozenset(self.feature[np.isfinite(self.threshold)].tolist())

    def scores(self, rows: Floats) -> Floats:
        """Log-odds (A,) of rows (A, F); features are compared in single precision, as trees are
        grown on them."""
        feature, threshold, leaf, starts = self._flat
        values = np.ascontiguousarray(rows.T, dtype=np.float32)
        above = (values.take(feature, axis=0) > threshold).reshape(-1, len(self.leaf), len(rows))
        place = np.zeros(above.shape[1:], dtype=np.uint8)  # at most 256 leaves
        turns: list[NDArray[np.bool_]] = []
        for level in range(self.depth):
            nodes = above[2**level - 1 : 2 ** (level + 1) - 1]
            for turn in turns:  # the half that each turn before has led to: faster than np.where
                left, right = np.split(nodes, 2)
                nodes = left ^ (turn & (left ^ right))
            turns.append(nodes[0])
            place = place << 1 | nodes[0]
        return np.asarray(self.base + leaf.take(place + starts).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Line:
    """A weighted sum.

    Attributes
    ----------
    weights : float64 array (F,)
    base : float
    """

    weights: Floats
    base: float

    @property
    def used(self) -> frozenset[int]:
        """Features that have a weight."""
        return frozenset(np.flatnonzero(self.weights).tolist())

    def scores(self, rows: Floats) -> Floats:
        """Log-odds (A,) of rows (A, F)."""
        return np.asarray(rows @ self.weights + self.base)


@dataclass(frozen=True, eq=False)
class RiskModel:
    """Predicts how likely it is that an answer changes.

    Attributes
    ----------
    form : Trees or Line
    fill : float64 array (F,)
        What stands for a feature that is not known.
    slope, shift : float
        Of the calibration: the log-odds are ``slope * score + shift``.
    """

    form: Trees | Line
    fill: Floats
    slope: float = 1.0
    shift: float = 0.0

    def __deepcopy__(self, memo: Any) -> "RiskModel":
        return self  # nobody changes it, and every sequence's policy may share it

    @property
    def used(self) -> frozenset[int]:
        """Features that decide anything."""
        return self.form.used

    def filled(self, rows: Floats) -> Floats:
        """Rows (A, F) in which everything is known."""
        return np.where(np.isnan(rows), self.fill, rows)

    def scores(self, rows: Floats) -> Floats:
        """Log-odds (A,) before the calibration."""
        return self.form.scores(self.filled(rows))

    def risks(self, rows: Floats) -> Floats:
        """Risks (A,) in [0, 1] of rows (A, F) of features, NaN where not known."""
        return sigmoid(self.slope * self.scores(rows) + self.shift)
