"""Grouped cross-validation of models of risk: pages that a model learned from never judge it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from saccade.controller.learned.risk import RiskModel
from saccade.tuning.risk_fits import Bools, Floats, Ints, fit, log_odds_of

INNER = 3
"""Folds within which a model is calibrated."""
LEAST = 1e-6
"""Risks this close to 0 or 1 count as if they were no closer, in log-losses."""


def groups_of(pages: Sequence[str]) -> Ints:
    """Numbers (M,) of groups of rows that share no picture with any other group's.

    Parameters
    ----------
    pages : sequence of str
        Of each row, hashes of its pictures with blanks between.
    """
    leader: dict[str, str] = {}

    def first(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for page in dict.fromkeys(pages):
        keys = page.split()
        for key in keys[1:]:
            one, other = sorted((first(keys[0]), first(key)))
            leader[other] = one
    names = {name: i for i, name in enumerate(sorted({first(p.split()[0]) for p in pages}))}
    return np.array([names[first(page.split()[0])] for page in pages], dtype=np.int64)


def folds(groups: Ints, n: int, seed: int) -> Iterator[tuple[Bools, Bools]]:
    """Rows to learn from and to judge by (M,), `n` times, of as many pages each as can be."""
    known = np.unique(groups)
    place = np.empty(len(known), dtype=np.int64)
    place[np.random.default_rng(seed).permutation(len(known))] = np.arange(len(known)) % n
    own = place[np.searchsorted(known, groups)]
    for fold in range(n):
        yield own != fold, own == fold


def calibrated(kind: str, rows: Floats, changed: Bools, groups: Ints, seed: int) -> RiskModel:
    """A model of a kind, whose risks are as large as what is seen on pages that it never saw.

    Notes
    -----
    Platt's scaling of scores of grouped folds (Platt 1999); the model itself is fitted to all rows.
    """
    model = fit(kind, rows, changed, seed)
    n = min(INNER, len(np.unique(groups)))
    if kind == "constant" or n < 2 or changed.all() or not changed.any():
        return model
    scores = np.zeros(len(rows))
    for learned, judged in folds(groups, n, seed):
        scores[judged] = fit(kind, rows[learned], changed[learned], seed).scores(rows[judged])
    slope, shift = scaled(scores, changed)
    return replace(model, slope=slope, shift=shift)


def scaled(scores: Floats, changed: Bools) -> tuple[float, float]:
    """Slope and shift that make risks of scores; without a slope if scores say nothing, or the
    contrary."""
    from sklearn.linear_model import LogisticRegression

    spread = float(scores.std())
    if spread < 1e-9:
        return 0.0, log_odds_of(changed)
    made = LogisticRegression(C=100.0, max_iter=1000).fit(scores[:, None] / spread, changed)
    slope = float(made.coef_[0, 0]) / spread
    if slope <= 0:
        return 0.0, log_odds_of(changed)
    return slope, float(made.intercept_[0])


def log_losses(risks: Floats, changed: Bools) -> Floats:
    """Of each row (M,), in nats."""
    kept = np.clip(risks, LEAST, 1 - LEAST)
    return np.asarray(-np.log(np.where(changed, kept, 1 - kept)))


def mean_by_page(values: Floats, groups: Ints) -> tuple[float, float, float]:
    """Mean over rows, and the ends of its 95 % interval, where pages are drawn and not rows."""
    from scipy import stats

    mean = float(values.mean())
    known, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, weights=values - mean)
    if len(known) < 2:
        return mean, float("-inf"), float("inf")
    error = float(np.sqrt((sums**2).sum() * len(known) / (len(known) - 1))) / len(values)
    reach = float(stats.t.ppf(0.975, len(known) - 1)) * error
    return mean, mean - reach, mean + reach
