"""Certifying a front on a tiny model: order, null rate, abstention, and what is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.controller import Keep, Preset, SaccadeError
from saccade.controller.preset import Backbone, Splits
from saccade.controller.preset_names import Found
from saccade.tuning import certify as module
from saccade.tuning.certificates import binomial_p, samples_needed
from saccade.tuning.certify import Target, certify
from saccade.tuning.evaluate import Answer, Evaluation, Outcome
from saccade.tuning.losses import LOSSES, Loss, loss_named
from saccade.tuning.splits import split_samples
from tests.controller.presets import made
from tests.tuning.tiny_task import SETTINGS, PageTask, word_model

CHANGED = LOSSES["changed"]


def preset(policy: str, pruner: str | None = None, **changes: Any) -> Found:
    backbone = Backbone(name="tiny", hash=fingerprint(word_model().network), dtype="float32")
    fields = {
        "policy": policy,
        "pruner": pruner,
        "backbone": backbone,
        "generation": dict(SETTINGS),
        "splits": Splits(seed=1, tune=4),
    }
    return Found(made(**(fields | changes)), None)


def run(front: Sequence[Found], n: int = 30, task: Any = None, **target: Any) -> Preset:
    wish = {"alpha": 0.1, "delta": 0.1, "loss": CHANGED} | target
    return certify(word_model(), task or PageTask(), front, Target(n=n, **wish), command="me")


def test_a_setting_that_changes_nothing_is_certified() -> None:
    out = run([preset("keep()")])
    found = out.certificate
    assert found is not None and found.outcome == "kept" and out.policy == "keep()"
    assert (found.n, found.questions, found.changed, found.needed) == (30, 30, 0, None)
    assert found.p_value == binomial_p(0, 30, 0.1) <= 0.1
    assert found.backbone == out.backbone.hash and found.task == "pages" and found.command == "me"
    assert found.null.loss == 0 and found.null.n == 30
    assert out.splits.certify == 30 and out.splits.tune == 4


def test_one_that_changes_answers_abstains_and_says_what_it_would_take() -> None:
    out = run([preset("after_share(0.0, keep=0.0)")], n=20)
    found = out.certificate
    assert found is not None and found.outcome == "abstained"
    assert found.tested[0].loss > 0.1 and found.needed is None
    assert isinstance(out.controller().policy, Keep)
    few = run([preset("keep()")], n=10).certificate
    assert few is not None and few.outcome == "abstained"
    assert few.needed == samples_needed(0.0, 0.1, 0.1) == 22
    assert "at least 22 samples" in few.sentence()


def test_a_certificate_from_before_is_passed_over() -> None:
    again = run([Found(run([preset("keep()")], n=10), None)])
    assert again.certificate is not None and again.certificate.outcome == "kept"


def fake(rates: dict[str, tuple[float, float]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Settings that change a share of the answers and cost so much; what is scored, in order."""
    asked = []

    def score(self: Evaluation, policy: str, pruner: str | None = None, watch: Any = None) -> Any:
        rate, cost = rates[policy]
        asked.append(policy)
        answers = [
            Answer(a.text, a.tokens if i >= rate * len(self.bare) else (1,), 0.0, 1, False)
            for i, a in enumerate(self.bare)
        ]
        return Outcome(tuple(answers), 1.0, (), tuple([cost] * len(answers)))

    monkeypatch.setattr(Evaluation, "score", score)
    return asked


def test_a_front_is_tested_from_its_safest_on_until_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {
        "auto(commit=0.9)": (0.5, 0.1),
        "keep()": (0.0, 1.0),
        "auto(commit=0.8)": (0.4, 0.2),
        "auto(commit=0.99)": (0.0, 0.8),
        "auto(commit=0.95)": (0.02, 0.5),
    }
    asked = fake(rates, monkeypatch)
    splits = Splits(seed=1, tune=20)
    out = run([preset(policy, splits=splits) for policy in rates], n=60)
    found = out.certificate
    assert found is not None and found.outcome == "kept"
    tested = [(one.policy, one.passed) for one in found.tested]
    assert tested == [
        ("keep()", True),
        ("auto(commit=0.99)", True),  # no less safe on the tune set, and cheaper
        ("auto(commit=0.95)", True),
        ("auto(commit=0.8)", False),
    ]
    assert out.policy == "auto(commit=0.95)"
    assert asked == [*rates, *(name for name, _ in tested)]
    assert found.changed == 2 and found.p_value == binomial_p(2, 60, 0.1)


def test_the_certify_set_is_not_the_tune_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def watched(task: Any, split: str, n: int, seed: int = 0) -> Any:
        seen.append((split, n))
        return split_samples(task, split, n, seed)

    monkeypatch.setattr(module, "split_samples", watched)
    run([preset("keep()"), preset("none")])
    assert seen == [("certify", 30), ("tune", 4)]


def test_a_target_below_the_null_rate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def unstable(bare: Answer, own: Answer) -> float:
        calls.append(1)
        return float(len(calls) % 5 == 0)

    shaky = Loss("shaky", "Sometimes.", True, unstable)
    with pytest.raises(
        ValueError, match="0.1 cannot be promised: the unpruned model itself .* 0.2"
    ):
        run([preset("keep()")], loss=shaky)


def test_another_backbone_is_refused() -> None:
    other = preset("keep()", backbone=Backbone(name="big", hash="1" * 64))
    with pytest.raises(SaccadeError, match="made on another backbone .big. than"):
        run([other])


def test_a_front_is_of_one_kind() -> None:
    with pytest.raises(SaccadeError, match="have one generation"):
        run([preset("keep()"), preset("none", generation={"gen_length": 4})])
    with pytest.raises(ValueError, match="no preset"):
        run([])


def test_questions_about_one_page_are_one_sample() -> None:
    task = PageTask(n_samples=120, shared=3)
    out = run([preset("keep()")], n=30, task=task).certificate
    assert out is not None and (out.questions, out.n) == (30, 10)
    assert out.p_value > binomial_p(0, 30, 0.1)


def test_losses_lie_between_nothing_and_all() -> None:
    bare = Answer("ab", (1, 2), 0.5, 1, False)
    others = [Answer("ab", (1, 2), 0.5, 1, False), Answer("b", (2,), 0.9, 1, True)]
    values = {name: [loss.function(bare, own) for own in others] for name, loss in LOSSES.items()}
    assert values == {"changed": [0, 1], "edits": [0, 0.5], "lost": [0, 0]}
    assert LOSSES["lost"].function(others[1], bare) == pytest.approx(0.4)
    assert [name for name, loss in LOSSES.items() if loss.binary] == ["changed"]
    with pytest.raises(ValueError, match="did you mean changed"):
        loss_named("chnged")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    out = run([preset("keep()")])
    assert Preset.read(out.write(tmp_path / "a.json")) == out
