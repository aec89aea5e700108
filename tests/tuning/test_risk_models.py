"""Models of risk: fitted as scikit-learn does, folded and calibrated by page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.controller.learned.features import FEATURES
from saccade.controller.learned.risk import Line, sigmoid
from saccade.tuning import risk_fits
from saccade.tuning.learned_report import curve
from saccade.tuning.learning import learn
from saccade.tuning.risk_fits import KINDS, fit, medians, stored_form
from saccade.tuning.risk_folds import (
    calibrated,
    folds,
    groups_of,
    log_losses,
    mean_by_page,
    scaled,
)
from tests.tuning.made_up_table import arrays, made_up

SURE = FEATURES.index("confidence_least")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("table") / "t")


@pytest.mark.parametrize("kind", ["boosting", "tree", "logistic"])
def test_the_numbers_taken_out_predict_as_scikit_learn_does(
    kind: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, changed, _ = arrays(table)
    own, seen = fit(kind, rows, changed, 0), {}
    whole = np.where(np.isnan(rows), medians(rows), rows)
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.tree

    for cls in (
        sklearn.ensemble.GradientBoostingClassifier,
        sklearn.linear_model.LogisticRegression,
        sklearn.tree.DecisionTreeClassifier,
    ):
        real = cls.fit

        def kept(self: Any, x: Any, *rest: Any, real: Any = real, **more: Any) -> Any:
            seen["model"], seen["x"] = self, x
            return real(self, x, *rest, **more)

        monkeypatch.setattr(cls, "fit", kept)
    again = fit(kind, rows, changed, 0)
    assert np.array_equal(own.risks(rows), again.risks(rows)), "the same numbers for the same seed"
    x = seen["x"] if kind == "logistic" else whole
    wanted = seen["model"].predict_proba(x)[:, 1]
    near = 0.05 if kind == "tree" else 1e-9  # whose rates count half an answer more of each kind
    np.testing.assert_allclose(own.risks(rows), wanted, atol=near)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [False, True])
def test_answers_that_all_changed_or_none_make_a_constant(kind: str, value: bool) -> None:
    rows, groups = np.random.default_rng(0).random((60, len(FEATURES))), np.arange(60) % 6
    model = calibrated(kind, rows, np.full(60, value), groups, 0)
    assert isinstance(model.form, Line) and not model.used
    assert model.risks(rows)[0] == pytest.approx(60.5 / 61 if value else 0.5 / 61)


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_never_known_do_no_harm(kind: str, table: Path) -> None:
    rows, changed, groups = arrays(table)
    rows = np.where(np.arange(len(FEATURES)) < SURE, np.nan, rows)
    risks = calibrated(kind, rows, changed, groups, 0).risks(rows)
    assert np.isfinite(risks).all()


def test_folds_share_no_page(table: Path) -> None:
    _, changed, groups = arrays(table)
    judged = np.zeros(len(changed), dtype=int)
    for learned, own in folds(groups, 5, 0):
        assert not (learned & own).any() and (learned | own).all()
        assert not set(groups[learned]) & set(groups[own])
        judged += own
    assert (judged == 1).all()


def test_rows_that_share_a_picture_are_one_page() -> None:
    groups = groups_of(["a b", "c", "b d", "e", "d", "c"]).tolist()
    assert groups[0] == groups[2] == groups[4] and groups[1] == groups[5]
    assert len(set(groups)) == 3


def test_calibration_mends_scores_that_are_too_sure() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, 4000)
    changed = rng.random(4000) < sigmoid(odds)
    slope, shift = scaled(5 * odds + 3, changed)
    assert slope == pytest.approx(0.2, rel=0.15) and shift == pytest.approx(-0.6, abs=0.2)
    assert scaled(-odds, changed)[0] == 0, "scores that say the contrary count for nothing"
    assert scaled(np.zeros(4000), changed)[0] == 0


@pytest.mark.slow
def test_risks_are_as_large_as_what_is_seen(tmp_path: Path) -> None:
    report = learn(made_up(tmp_path / "t", pages=80), tmp_path / "o")
    off = [abs(own.predicted - own.observed) for own in report.calibration]
    assert sum(own.n for own in report.calibration) == report.rows
    assert float(np.average(off, weights=[b.n for b in report.calibration])) < 0.08


def test_log_losses_and_curves_are_the_known_ones() -> None:
    risks, changed = np.array([0.5, 0.9, 0.1, 1.0]), np.array([True, True, True, False])
    wanted = -np.log([0.5, 0.9, 0.1, 1e-6])
    np.testing.assert_allclose(log_losses(risks, changed), wanted, rtol=1e-9)
    bins = curve(np.arange(20) / 20, np.arange(20) >= 10)
    assert len(bins) == 10 and bins[0].predicted == pytest.approx(0.025)
    assert [own.observed for own in bins] == [0.0] * 5 + [1.0] * 5


def test_intervals_count_pages_and_not_rows() -> None:
    values, pages = np.repeat([0.0, 1.0, 0.0, 1.0], 50), np.repeat(np.arange(4), 50)
    mean, low, high = mean_by_page(values, pages)
    assert mean == 0.5 and low < 0 < 1 < high, "four pages are four draws"
    assert mean_by_page(values, np.zeros(200, dtype=np.int64))[1] == float("-inf")


def test_a_feature_that_hardly_varies_has_no_weight(table: Path) -> None:
    features, changed, _ = arrays(table)
    rows = features.copy()
    rows[:, 3] = 0.5 + 1e-12 * changed
    weights = stored_form(fit("logistic", rows, changed, 0))["line"]["weights"]
    assert abs(weights[3]) < 1e-6 and max(map(abs, weights)) < 1e6


def test_a_feature_of_no_use_is_no_cost(table: Path) -> None:
    """What the policy reads is what its model looks at."""
    rows, changed, _ = arrays(table)
    used = {FEATURES[i] for i in fit("tree", rows, changed, 0).used}
    assert used and "confidence_least" in used and len(used) <= 7
    assert risk_fits.TREES * 2**risk_fits.DEPTH <= 480, "more take more than 0.2 ms"
