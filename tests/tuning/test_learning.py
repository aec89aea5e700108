"""Learning from a table: models that are right, judged by pages that they did not see."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saccade.controller import Controller, LearnedError, StudyError
from saccade.controller.learned.actions import Action, all_actions
from saccade.controller.learned.features import FEATURES, RUNGS
from saccade.controller.learned.risk import Line, sigmoid
from saccade.controller.learned.stored import read_learned
from saccade.tuning import risk_fits
from saccade.tuning.learned_report import LearnReport, curve
from saccade.tuning.learning import learn
from saccade.tuning.risk_fits import KINDS, fit, medians
from saccade.tuning.risk_folds import (
    calibrated,
    folds,
    groups_of,
    log_losses,
    mean_by_page,
    scaled,
)
from saccade.tuning.trace_table import TraceTable
from tests.tuning.tiny_task import SETTINGS, PageSample, word_model
from tests.tuning.tiny_traces import collected

ACTIONS = all_actions((0.5, 0.25), [], (0.9,))
SURE = FEATURES.index("confidence_least")


def made_up(folder: Path, pages: int = 40, signal: float = 12.0, rate: float = -3.0) -> Path:
    """A table in which the risk rises as confidence falls (or not, without a signal), more so for
    actions that keep less."""
    rng = np.random.default_rng(0)
    table = TraceTable(folder)
    geometry = dict.fromkeys(("n_layers", "hidden", "intermediate", "n_heads", "n_kv_heads"), 4)
    table.begin(
        {
            "model": "made-up",
            "backbone": {
                "origin": "from-scratch",
                "geometry": {**geometry, "vocab": 64},
                "hash": "0" * 64,
            },
            "actions": [[a.keep, list(a.skip), a.commit] for a in ACTIONS],
            "pruner": "uniform()",
            "features": list(FEATURES),
            "ladder": list(RUNGS),
        }
    )
    for page in range(pages):
        rows = []
        for step in (1, 4):
            features = dict(zip(FEATURES, rng.random(len(FEATURES)).tolist(), strict=True))
            for action in ACTIONS:
                sure = features["confidence_least"]
                odds = rate + signal * (0.5 - sure) + 4 * (1 - action.keep)
                changed = bool(rng.random() < 1 / (1 + np.exp(-odds)))
                own = {
                    "action_keep": action.keep,
                    "action_skipped": 0.0,
                    "action_commit": 1.1 if action.commit is None else action.commit,
                    "change_visual": None if step == 1 else 0.1,
                }
                rows.append(_row(page, step, action, features | own, changed))
        table.write("code", 0, page, rows)
    return folder


def _row(
    page: int, step: int, action: Action, features: dict[str, Any], changed: bool
) -> dict[str, Any]:
    saved = 0.9 * (1 - action.keep) + 0.05 * (action.commit is not None)
    return {
        **{"page": f"p{page}", "seed": 0, "step": step, "n_steps": 8, "action": action.name},
        **features,
        **{"changed": changed, "score": 1.0 - changed, "bare_score": 1.0, "score_change": -changed},
        **{"macs": 100, "bare_macs": 1000, "saved_macs": int(1000 * saved), "saved": saved},
    }


def arrays(folder: Path) -> tuple[Any, Any, Any]:
    frame = TraceTable(folder).read()
    rows = frame[list(FEATURES)].to_numpy(dtype=np.float64, na_value=np.nan)
    return rows, frame["changed"].to_numpy(), groups_of(frame["page"].tolist())


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


def test_what_can_be_learned_is_learned(table: Path, tmp_path: Path) -> None:
    report = learn(table, tmp_path / "o")
    assert report.better and report.sentence.startswith("boosting is better than")
    assert report.losses["boosting"] < report.losses["by action"] < report.losses["constant"]
    assert report.losses["constant"] == pytest.approx(
        -(
            report.changed * np.log(report.changed)
            + (1 - report.changed) * np.log1p(-report.changed)
        ),
        rel=0.05,
    )
    assert next(iter(report.importance)) == "confidence_least"
    assert set(report.losses) == {*KINDS, "by action"}
    risks = [own.changed for own in report.outlook]
    assert risks == sorted(risks) and report.outlook[-1].saved > 0


@pytest.mark.parametrize("kind", ["boosting", "logistic", "tree", "constant"])
def test_what_cannot_be_learned_is_said(kind: str, tmp_path: Path) -> None:
    report = learn(made_up(tmp_path / "t", pages=20, signal=0.0), tmp_path / "o", kind=kind)
    assert not report.better
    assert f"{kind} is NOT better than" in report.sentence and "collect more" in report.sentence
    assert read_learned(tmp_path / "o" / "learned.json").content.quality.better is False


def test_what_follows_from_the_action_alone_is_no_merit_of_the_signals(tmp_path: Path) -> None:
    """Whatever keeps less than a half changes the answer, and nothing else does."""
    folder = made_up(tmp_path / "t", pages=20, signal=0.0, rate=-99.0)
    for path in (folder / "parts").iterdir():
        frame = pd.read_parquet(path)
        frame["changed"] = frame["action_keep"] < 0.4
        frame.to_parquet(path)
    report = learn(folder, tmp_path / "o")
    assert report.losses["boosting"] < 0.01 < report.losses["constant"]
    assert not report.better and "NOT better than the action alone" in report.sentence


@pytest.mark.parametrize("rate", [-99.0, 99.0])
def test_a_table_in_which_all_is_one_can_be_learned_from(rate: float, tmp_path: Path) -> None:
    report = learn(made_up(tmp_path / "t", pages=4, signal=0.0, rate=rate), tmp_path / "o")
    assert report.changed == (rate > 0) and not report.better


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_predicts_as_what_was_fitted(kind: str, table: Path, tmp_path: Path) -> None:
    learn(table, tmp_path / "o", kind=kind)
    rows, changed, groups = arrays(table)
    stored = read_learned(tmp_path / "o" / "learned.json")
    wanted = calibrated(kind, rows, changed, groups, 0)
    np.testing.assert_array_equal(stored.risk.risks(rows), wanted.risks(rows))
    assert stored.content.kind == kind and stored.actions == ACTIONS
    assert stored.saved.tolist() == pytest.approx(
        [0.9 * (1 - a.keep) + 0.05 * (a.commit is not None) for a in ACTIONS]
    )


def test_learning_is_repeatable_and_told_by_the_data(table: Path, tmp_path: Path) -> None:
    for name in "ab":
        learn(table, tmp_path / name, kind="tree")
    files = [(tmp_path / name / "learned.json").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    learn(made_up(tmp_path / "t", pages=10), tmp_path / "c", kind="tree")
    hashes = [read_learned(tmp_path / n / "learned.json").content.data.hash for n in "ac"]
    assert hashes[0] != hashes[1]


def test_the_report_is_plain_json(table: Path, tmp_path: Path) -> None:
    report = learn(table, tmp_path / "o", kind="logistic")
    said = json.loads((tmp_path / "o" / "report.json").read_text())
    assert said["sentence"] == report.sentence and said["rows"] == report.rows
    assert 0 < said["milliseconds"] == report.milliseconds
    assert said["calibration"][0].keys() == {"predicted", "observed", "n"}


def test_one_page_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the rows of one page; models are judged on pages"):
        learn(made_up(tmp_path / "t", pages=1), tmp_path / "o")
    assert not (tmp_path / "o").exists()
    assert isinstance(learn(made_up(tmp_path / "u", pages=2), tmp_path / "o"), LearnReport)


def test_errors_say_what_to_do(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model='boost'.*boosting"):
        learn(table, tmp_path / "o", kind="boost")
    with pytest.raises(StudyError, match="is no table of traces"):
        learn(tmp_path, tmp_path / "o")
    folder = made_up(tmp_path / "t", pages=2)
    recipe = json.loads((folder / "recipe.json").read_text())
    for changes, message in (
        ({"features": ["mood"]}, "those of another version; collect again"),
        ({"ladder": [0.3]}, "those of another version; collect again"),
        ({"actions": [[2.0, [], None]]}, "recipe is damaged: actions"),
        ({"actions": "all"}, "recipe is damaged: actions"),
        ({"actions": recipe["actions"][1:]}, "its recipe has not"),
    ):
        (folder / "recipe.json").write_text(json.dumps({**recipe, **changes}))
        with pytest.raises(StudyError, match=message):
            learn(folder, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_feature_of_no_use_is_no_cost(table: Path) -> None:
    """What the policy reads is what its model looks at."""
    rows, changed, _ = arrays(table)
    used = {FEATURES[i] for i in fit("tree", rows, changed, 0).used}
    assert used and "confidence_least" in used and len(used) <= 7
    assert risk_fits.TREES * 2**risk_fits.DEPTH <= 480, "more take more than 0.2 ms"


def test_from_traces_to_a_policy_that_runs(tmp_path: Path) -> None:
    """Of the tiny model: what is learned is attached to it, and holds its risk."""
    model = word_model()
    report = learn(collected(tmp_path / "t", n=6), tmp_path / "o")
    assert isinstance(report, LearnReport) and len(pd.Series(report.losses)) == 5
    file = tmp_path / "o" / "learned.json"
    sample = PageSample(7, 0, 7)
    prepared = model.prepare(sample.question, sample.images)
    bare = model.generate(inputs=prepared, **SETTINGS)
    for risk, acts in ((0.0, False), (1.0, True)):
        controller = Controller(f"learned(file={str(file)!r}, risk={risk})")
        out = model.generate(inputs=prepared, controller=controller, **SETTINGS)
        assert any(step.plan.acts for step in out.trace) == acts
        assert (out.trace.macs < bare.trace.macs) == acts
        assert all("risk" in step.plan.reason for step in out.trace.steps[1:])


def test_other_weights_of_the_same_sizes_are_refused(tmp_path: Path) -> None:
    """Also where the policy is inside another one, and where a call goes on."""
    from tests.tiny import tiny_model

    model, other = word_model(), tiny_model(tokenizer=True, seed=1)
    learn(collected(tmp_path / "t", n=2), tmp_path / "o", kind="tree")
    text = f"learned(file={str(tmp_path / 'o' / 'learned.json')!r}, risk=1.0)"
    sample, snapshots = PageSample(7, 0, 7), []
    for own in (model, other):
        inputs = own.prepare(sample.question, sample.images)
        own.generate(
            inputs=inputs, callback=lambda view: snapshots.append(view.snapshot()), **SETTINGS
        )
    inputs = other.prepare(sample.question, sample.images)
    for policy in (text, f"abstain({text}, steps=1)", f"confident_commits() + {text}"):
        with pytest.raises(LearnedError, match="was made on other weights than those of tiny"):
            other.generate(inputs=inputs, controller=Controller(policy), **SETTINGS)
        with pytest.raises(LearnedError, match="collect and learn on this one"):
            other.resume(snapshots[-1], Controller(policy))
