"""Learning from a table: what can be learned is, and what cannot is said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saccade.controller import Controller, LearnedError, StudyError
from saccade.controller.learned.stored import read_learned
from saccade.tuning.learned_report import LearnReport
from saccade.tuning.learning import learn
from saccade.tuning.risk_fits import KINDS
from saccade.tuning.risk_folds import (
    calibrated,
)
from tests.tuning.made_up_table import ACTIONS, arrays, made_up
from tests.tuning.tiny_task import SETTINGS, PageSample, word_model
from tests.tuning.tiny_traces import collected


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("table") / "t")


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boosting", "logistic", "tree", "constant"])
def test_what_cannot_be_learned_is_said(kind: str, tmp_path: Path) -> None:
    report = learn(made_up(tmp_path / "t", pages=20, signal=0.0), tmp_path / "o", kind=kind)
    assert not report.better
    told = "collect more" if kind != "constant" else "a constant looks at no signal: its risk is"
    assert told in report.sentence
    assert (f"{kind} is NOT better than" in report.sentence) == (kind != "constant")
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


def test_a_few_pages_with_changes_show_nothing(tmp_path: Path) -> None:
    """On one page of 20 answers change, late in a call: low risks elsewhere are no merit."""
    folder = made_up(tmp_path / "t", pages=20, signal=0.0, rate=-99.0)
    for number, path in enumerate(sorted((folder / "parts").iterdir())):
        frame = pd.read_parquet(path)
        frame["changed"] = (number == 0) & (frame["progress"] > frame["progress"].median())
        frame.to_parquet(path)
    report = learn(folder, tmp_path / "o", kind="tree")
    assert report.mixed == (1, 20) and not report.better
    assert "of which 1 had a changed answer, and 5 are the least" in report.sentence


@pytest.mark.parametrize("rate", [-99.0, 99.0])
def test_a_table_in_which_all_is_one_can_be_learned_from(rate: float, tmp_path: Path) -> None:
    report = learn(made_up(tmp_path / "t", pages=4, signal=0.0, rate=rate), tmp_path / "o")
    assert report.changed == (rate > 0) and not report.better


@pytest.mark.slow
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


@pytest.mark.slow
def test_learning_is_repeatable_and_told_by_the_data(table: Path, tmp_path: Path) -> None:
    for name in "ab":
        learn(table, tmp_path / name, kind="tree")
    files = [(tmp_path / name / "learned.json").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    learn(made_up(tmp_path / "t", pages=10), tmp_path / "c", kind="tree")
    hashes = [read_learned(tmp_path / n / "learned.json").content.data.hash for n in "ac"]
    assert hashes[0] != hashes[1]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
