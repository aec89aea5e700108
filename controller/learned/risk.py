"""The risk that an answer changes, from features: boosted trees or a line, as plain arrays."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
    def _flat(self) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64]]:
        starts = np.arange(len(self.feature), dtype=np.int64)
        return self.feature.ravel(), self.threshold.ravel(), self.leaf.ravel(), starts

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
        feature, threshold, leaf, trees = self._flat
        (n_rows, width), nodes = rows.shape, self.feature.shape[1]
        values = np.ascontiguousarray(rows, dtype=np.float32).ravel()
        row_starts = (np.arange(n_rows) * width)[:, None]
        node = np.zeros((n_rows, len(trees)), dtype=np.int64)
        for _ in range(self.depth):
            at = node + trees * nodes
            right = values.take(row_starts + feature.take(at)) > threshold.take(at)
            node = 2 * node + 1 + right
        at = node - nodes + trees * (nodes + 1)
        return np.asarray(self.base + leaf.take(at).sum(axis=1))


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
