"""Fitting models of risk with scikit-learn, and taking their numbers out of it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.controller.learned.risk import Line, RiskModel, Trees

LEAST_SPREAD = 1e-6
"""Standard deviation of a feature below which a line takes it for constant."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
TREES, DEPTH, RATE = 60, 3, 0.1
"""Of the boosting: more and deeper trees take more than 0.2 ms a prediction."""


def fit(kind: str, rows: Floats, changed: Bools, seed: int) -> RiskModel:
    """A model of a kind, not calibrated; a constant if all answers changed, or none.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rows : float64 array (M, F)
        NaN where not known.
    changed : bool array (M,)
    seed : int
    """
    fill = medians(rows)
    if kind == "constant" or changed.all() or not changed.any():
        return RiskModel(Line(np.zeros(rows.shape[1]), log_odds_of(changed)), fill)
    whole = np.where(np.isnan(rows), fill, rows)
    return RiskModel(KINDS[kind](whole, changed, seed), fill)


def medians(rows: Floats) -> Floats:
    """What stands for each feature where it is not known; 0 for one that never is."""
    known = [column[~np.isnan(column)] for column in rows.T]
    return np.array([float(np.median(own)) if len(own) else 0.0 for own in known])


def log_odds_of(changed: Bools) -> float:
    """Of the share that changed, as if half an answer more had and half an answer more had not."""
    share = (float(changed.sum()) + 0.5) / (len(changed) + 1)
    return float(np.log(share / (1 - share)))


def _boosting(rows: Floats, changed: Bools, seed: int) -> Trees:
    from sklearn.ensemble import GradientBoostingClassifier

    made = GradientBoostingClassifier(
        n_estimators=TREES,
        learning_rate=RATE,
        max_depth=DEPTH,
        min_samples_leaf=_least_leaf(len(rows)),
        subsample=0.7,
        random_state=seed,
    ).fit(rows, changed)
    prior = float(changed.mean())
    trees = [one.tree_ for one in made.estimators_[:, 0]]
    base = float(np.log(prior / (1 - prior)))
    return _complete(trees, lambda tree, node: RATE * float(tree.value[node, 0, 0]), base)


def _tree(rows: Floats, changed: Bools, seed: int) -> Trees:
    from sklearn.tree import DecisionTreeClassifier

    made = DecisionTreeClassifier(
        max_depth=DEPTH, min_samples_leaf=_least_leaf(len(rows)), random_state=seed
    ).fit(rows, changed)

    def log_odds(tree: Any, node: int) -> float:
        n = int(tree.n_node_samples[node])
        share = (float(tree.value[node, 0, 1]) * n + 0.5) / (n + 1)
        return float(np.log(share / (1 - share)))

    return _complete([made.tree_], log_odds, 0.0)


def _logistic(rows: Floats, changed: Bools, seed: int) -> Line:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    scaler.scale_ = np.where(scaler.scale_ < LEAST_SPREAD, 1.0, scaler.scale_)
    made = LogisticRegression(max_iter=5000, random_state=seed).fit(scaler.transform(rows), changed)
    weights = made.coef_[0] / scaler.scale_
    return Line(weights, float(made.intercept_[0] - weights @ scaler.mean_))


KINDS: Mapping[str, Callable[[Floats, Bools, int], Trees | Line]] = {
    "boosting": _boosting,
    "logistic": _logistic,
    "tree": _tree,
    "constant": lambda rows, changed, seed: Line(np.zeros(rows.shape[1]), log_odds_of(changed)),
}
"""How each kind of model is made, of rows in which everything is known."""


def _least_leaf(n: int) -> int:
    """Rows of the smallest leaf: few rows say little."""
    return max(2, min(20, n // 50))


def _complete(trees: list[Any], value: Callable[[Any, int], float], base: float) -> Trees:
    """Trees of scikit-learn in arrays of complete trees; a leaf above the ground has its value at
    the place furthest to the left below it."""
    depth = max(1, *(tree.max_depth for tree in trees)) if trees else 1
    nodes = 2**depth - 1
    feature = np.zeros((len(trees), nodes), dtype=np.int64)
    threshold = np.full((len(trees), nodes), np.inf)
    leaf = np.zeros((len(trees), nodes + 1))

    def lay(number: int, tree: Any, node: int, place: int) -> None:
        if place >= nodes:
            leaf[number, place - nodes] = value(tree, node)
        elif tree.children_left[node] < 0:
            lay(number, tree, node, 2 * place + 1)
        else:
            feature[number, place] = tree.feature[node]
            threshold[number, place] = tree.threshold[node]
            lay(number, tree, int(tree.children_left[node]), 2 * place + 1)
            lay(number, tree, int(tree.children_right[node]), 2 * place + 2)

    for number, tree in enumerate(trees):
        lay(number, tree, 0, 0)
    return Trees(feature, threshold, leaf, base)


def stored_form(model: RiskModel) -> dict[str, Any]:
    """The part of a learned model's file that says how it predicts."""
    form = model.form
    numbers = {"fill": model.fill.tolist(), "slope": model.slope, "shift": model.shift}
    if isinstance(form, Line):
        return {"line": {"weights": form.weights.tolist(), "base": form.base}, **numbers}
    ends = ~np.isfinite(form.threshold)
    trees = {
        "feature": np.where(ends, -1, form.feature).tolist(),
        "threshold": np.where(ends, 0.0, form.threshold).tolist(),
        "leaf": form.leaf.tolist(),
        "base": form.base,
    }
    return {"trees": trees, **numbers}
