"""The learned policy: which action it takes, what it reads, and what it is attached to."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saccade.controller import Controller, LearnedError, Plan, Signals, StepState, check_policy
from saccade.controller.expressions import parse_policy
from saccade.controller.learned.actions import Action, all_actions
from saccade.controller.learned.features import FEATURES, NO_COMMIT, OF_ACTIONS, table
from saccade.controller.learned.risk import RiskModel, Trees
from saccade.controller.learned.stored import read_learned, write_learned
from saccade.controller.policies import Abstain, Learned
from saccade.controller.policy_checks import MADE_UP
from saccade.controller.types import round_keep
from tests.controller.learned_files import content, line, random_trees

STATE = StepState(4, 16, 0, 1, 12, 4)


def policy(tmp_path: Path, risk: float = 0.05, **changes: Any) -> Learned:
    return Learned(str(write_learned(tmp_path / "learned.json", content(**changes))), risk)


def shown(confidence: float = 0.9, n: int = 20) -> Signals:
    received = torch.arange(n, dtype=torch.float32)
    return Signals(
        confidence=torch.full((16,), confidence, dtype=torch.float64),
        masked=torch.arange(16) >= 4,
        received=received,
        attention_visual_masked=torch.tensor([0.1, float("nan"), 0.3]),
    )


def by_name(rows: Any, row: int = 0) -> dict[str, float]:
    return dict(zip(FEATURES, rows[row].tolist(), strict=True))


def test_features_are_what_they_say() -> None:
    actions = all_actions((0.5,), [(1, 2)], (0.95,))
    known = by_name(table(STATE, shown(), actions, 6), actions.index(Action(0.5)))
    assert known["progress"] == 0.25 and known["committed_share"] == 0.25
    assert known["answer_length"] == 16 and known["visual_tokens"] == 20
    assert known["attention_visual"] == pytest.approx(0.2)
    assert known["attention_visual_most"] == pytest.approx(0.3)
    assert known["confidence_least"] == known["confidence_mean"] == pytest.approx(0.9)
    assert known["cover_0.5"] == pytest.approx(sum(range(10, 20)) / sum(range(20)))
    assert known["action_cover"] == known["cover_0.5"] and known["action_keep"] == 0.5
    assert known["action_commit"] == NO_COMMIT and known["action_commits"] == 0
    assert np.isnan(known["entropy_mean"]) and np.isnan(known["attention_response"])
    commits = by_name(table(STATE, shown(0.97), actions, 6), actions.index(Action(commit=0.95)))
    assert commits["action_commits"] == 1 and commits["action_cover"] == 1
    skips = by_name(table(STATE, shown(), actions, 6), actions.index(Action(1.0, (1, 2))))
    assert skips["action_skipped"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 20, 145])
def test_coverage_is_of_as_many_tokens_as_a_drop_leaves(n: int) -> None:
    actions = all_actions((0.75, 0.5, 0.25, 0.1, 0.01, 0.0))
    rows = table(STATE, shown(n=n), actions, 6)
    most = sorted(range(n), reverse=True)
    for row, action in enumerate(actions):
        known = by_name(rows, row)["action_cover"]
        if n == 0:
            assert np.isnan(known)
        else:
            kept = sum(most[: round_keep(action.keep, n)])
            assert known == pytest.approx(kept / max(sum(most), 1e-12))


def test_only_the_last_features_differ_by_action() -> None:
    rows = table(STATE, shown(), all_actions((0.5, 0.1), [], (0.9,)), 6)
    same = [bool((rows[:, i] == rows[0, i]).all()) for i in range(len(FEATURES))]
    assert {FEATURES[i] for i, one in enumerate(same) if not one} <= {
        *OF_ACTIONS,
        *(name for i, name in enumerate(FEATURES) if np.isnan(rows[0, i])),
    }
    assert FEATURES[-len(OF_ACTIONS) :] == OF_ACTIONS


@pytest.mark.parametrize(
    "shown",
    [None, Signals(), Signals(received=torch.zeros(0), masked=torch.zeros(16, dtype=torch.bool))],
)
def test_what_is_not_known_has_no_number_and_a_risk_all_the_same(
    shown: Signals | None, tmp_path: Path
) -> None:
    own = policy(tmp_path)
    rows = table(STATE, shown, own._model.actions, 6)
    assert np.isnan(rows).any()
    risks = own._model.risk.risks(rows)
    assert np.isfinite(risks).all() and ((risks >= 0) & (risks <= 1)).all()


def naive(stored: dict[str, Any], row: list[float]) -> float:
    """Each tree by hand."""
    total = stored["base"]
    for feature, threshold, leaf in zip(
        stored["feature"], stored["threshold"], stored["leaf"], strict=True
    ):
        node = 0
        while node < len(feature):
            right = feature[node] >= 0 and float(np.float32(row[feature[node]])) > threshold[node]
            node = 2 * node + 1 + int(right)
        total += leaf[node - len(feature)]
    return float(total)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_trees_are_those_that_are_walked_by_hand(depth: int, tmp_path: Path) -> None:
    trees = random_trees(3, trees=7, depth=depth)
    model = read_learned(write_learned(tmp_path / "a.json", content(trees=trees))).risk
    rows = np.random.default_rng(0).random((40, len(FEATURES)))
    wanted = [naive(trees, row) for row in rows.tolist()]
    np.testing.assert_allclose(model.scores(rows), wanted, rtol=1e-12)


def test_values_beside_a_threshold_go_the_same_way_in_single_precision(tmp_path: Path) -> None:
    """Singles right below, at and above a threshold that is none, and one that is."""
    thresholds = [0.1, 0.5, 1 / 3, 1e9, -1e9, 3e-46]
    trees = {
        "feature": [[0]] * len(thresholds),
        "threshold": [[value] for value in thresholds],
        "leaf": [[0.0, 2.0**place] for place in range(len(thresholds))],
        "base": 0.0,
    }
    model = read_learned(write_learned(tmp_path / "a.json", content(trees=trees))).risk
    near = np.array(thresholds[:3] + [0.0], dtype=np.float32)
    values = np.concatenate([near, np.nextafter(near, np.float32(9)), np.nextafter(near, -near)])
    rows = np.zeros((len(values), len(FEATURES)))
    rows[:, 0] = values
    wanted = [naive(trees, row) for row in rows.tolist()]
    assert model.scores(rows).tolist() == wanted and len(set(wanted)) > 4


def test_the_cheapest_action_under_the_risk_is_taken_and_held(tmp_path: Path) -> None:
    """Risk falls with confidence and with what an action keeps."""
    own = policy(tmp_path, 0.3, line={**line(confidence_least=-6.0, action_keep=-6.0), "base": 8.0})
    own.reset()
    assert own.plan(dataclasses.replace(STATE, step=0), None) == Plan()
    timid = own.plan(STATE, shown(0.2))
    assert timid == Plan() and "predicted risk" in timid.reason and ">= risk 0.30" in timid.reason
    assert own.watches(STATE) is False, "a line of confidence and keep reads no attention"
    plan = own.plan(STATE, shown(0.8))
    saved = dict(zip(own._model.actions, own._model.saved.tolist(), strict=True))
    risks = own._model.risk.risks(table(STATE, shown(0.8), own._model.actions, 6))
    safe = [a for a, r in zip(own._model.actions, risks.tolist(), strict=True) if r < 0.3]
    assert 0 < len(safe) < len(own._model.actions)
    best = max(safe, key=saved.__getitem__)
    assert plan == best.plan and plan.reason.startswith(f"{best.name}: predicted risk")
    assert "< risk 0.30, the cheapest of" in plan.reason
    assert own.plan(STATE, shown(0.0)) is plan, "what is decided holds"
    own.reset()
    assert own.plan(STATE, shown(0.2)) == Plan()


def test_what_saves_nothing_is_not_done(tmp_path: Path) -> None:
    made = content(line={**line(), "base": -9.0})
    for action in made["actions"]:
        action["saved"] = -0.1
    own = Learned(str(write_learned(tmp_path / "learned.json", made)))
    plan = own.plan(STATE, shown())
    assert plan == Plan() and plan.reason == "no action that is safe enough saves anything"


def test_a_risk_of_zero_does_nothing(tmp_path: Path) -> None:
    own = policy(tmp_path, 0.0, line={**line(), "base": -1e6})
    assert own.plan(STATE, shown()) == Plan()


def test_it_reads_what_decides_and_watches_until_it_has(tmp_path: Path) -> None:
    reads = {
        "confidence_mean": {"confidence"},
        "attention_response": {"attention"},
        "cover_0.5": {"received"},
        "progress": set[str](),
    }
    for name, wanted in reads.items():
        assert policy(tmp_path, line=line(**{name: 1.0})).reads == wanted
    own = policy(tmp_path, line={**line(**{"cover_0.5": -1.0}), "base": -9.0})
    assert own.watches(STATE) is True
    assert own.plan(STATE, shown()).acts and own.watches(STATE) is False


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("risk", [0.05, 0.3, 1.0])
def test_contract(seed: int, risk: float, tmp_path: Path) -> None:
    check_policy(policy(tmp_path, risk, seed=seed))
    check_policy(Abstain(policy(tmp_path, risk, seed=seed), steps=4))


def test_text_makes_it_again(tmp_path: Path) -> None:
    own = policy(tmp_path, 0.1)
    assert repr(own) == f"learned(file={own.file!r}, risk=0.1)"
    assert parse_policy(repr(own)) == own and parse_policy(repr(own)) != policy(tmp_path, 0.2)


def test_another_backbone_is_refused_with_what_differs(tmp_path: Path) -> None:
    other = dataclasses.replace(
        MADE_UP, origin="ar-to-diffusion", geometry=dataclasses.replace(MADE_UP.geometry, hidden=32)
    )
    with pytest.raises(
        LearnedError,
        match=r"learned on made up, and made up differs "
        r"\(origin ar-to-diffusion, not from-scratch, hidden 32, not 64\); collect",
    ):
        Controller(policy(tmp_path)).check(other)


def test_another_pruner_is_refused(tmp_path: Path) -> None:
    own = policy(tmp_path)
    Controller(own).check(MADE_UP)
    Controller(own, "redvtp(rows='all')").check(MADE_UP)
    with pytest.raises(LearnedError, match="learned with the pruner redvtp.*, not with uniform"):
        Controller(own, "uniform").check(MADE_UP)


@pytest.mark.parametrize("risk", [-0.1, 1.5, float("nan"), "low", None, True])
def test_wrong_risks(risk: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"risk=.*must lie in \[0, 1\]"):
        policy(tmp_path, risk)


@pytest.mark.parametrize("file", ["", 3, None])
def test_wrong_files(file: Any) -> None:
    with pytest.raises(ValueError, match=r"file=.*: give the path of a learned.json"):
        Learned(file)


def test_copies_share_the_model(tmp_path: Path) -> None:
    own = policy(tmp_path)
    assert own.start()._model is own._model


def test_what_is_foreseen_for_a_batch_is_what_each_predicts(tmp_path: Path) -> None:
    own = policy(tmp_path, 0.3)
    calls = [(own.start(), dataclasses.replace(STATE, step=i), shown(i / 9)) for i in range(1, 9)]
    wanted = [own.start().plan(state, seen) for _, state, seen in calls]
    Learned.foresee(calls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskModel, "risks", None)  # nothing is predicted once more
        plans = [mine.plan(state, seen) for mine, state, seen in calls]
    assert [(p, p.reason) for p in plans] == [(p, p.reason) for p in wanted]
    assert any(plan.acts for plan in plans) or any("least of all" in p.reason for p in plans)


def test_what_was_foreseen_for_another_step_is_not_used(tmp_path: Path) -> None:
    own = policy(tmp_path, 0.3)
    for state, seen in ((dataclasses.replace(STATE, step=9), shown(0.1)), (STATE, shown(0.1))):
        mine, plain = own.start(), own.start()
        Learned.foresee([(mine, state, seen)])
        now = shown(0.9)
        assert mine.plan(STATE, now).reason == plain.plan(STATE, now).reason
    decided = own.start()
    decided._held = Plan(refresh=True)
    Learned.foresee([(decided, STATE, shown())])
    assert decided._foreseen is None, "it adds cost where a decision is open, and nowhere else"


def test_a_batch_is_predicted_once_a_step_and_answered_as_alone(tmp_path: Path) -> None:
    from saccade.tuning.learning import learn
    from tests.tuning.tiny_task import SETTINGS, PageSample, word_model
    from tests.tuning.tiny_traces import collected

    model = word_model()
    learn(collected(tmp_path / "t", n=4), tmp_path / "o")
    text = f"learned(file={str(tmp_path / 'o' / 'learned.json')!r}, risk=0.4)"
    controller, calls = Controller(f"abstain({text}, steps=2)"), []
    samples = [PageSample(i, 0, i) for i in range(5)]
    inputs = [model.prepare(sample.question, sample.images) for sample in samples]
    real = RiskModel.risks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskModel, "risks", lambda s, r: calls.append(len(r)) or real(s, r))
        outs = model.generate(inputs=inputs, controller=controller, **SETTINGS)
    assert 0 < len(calls) <= SETTINGS["steps"] and calls[0] == 5 * 11
    for out, own in zip(outs, inputs, strict=True):
        alone = model.generate(inputs=own, controller=controller, **SETTINGS)
        assert out.tokens == alone.tokens
        reasons = [[step.plan.reason for step in o.trace] for o in (out, alone)]
        assert reasons[0] == reasons[1]


def test_a_prediction_for_a_batch_takes_little_more_than_for_one_sequence(tmp_path: Path) -> None:
    """Of 60 trees for 11 actions: eight sequences are predicted at once, not one by one."""
    own, signals = policy(tmp_path, 0.0), shown(n=144)
    model = own._model.risk
    rows = table(STATE, signals, own._model.actions, 6)
    assert isinstance(model, RiskModel) and isinstance(model.form, Trees)

    def least(call: Any) -> float:
        times = []
        for _ in range(200):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return min(times)

    batch = np.concatenate([rows] * 8)
    assert least(lambda: model.risks(batch)) < 4 * least(lambda: model.risks(rows))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one"),
        ({"keep": 1.2}, "keep=1.2"),
        ({"keep": 0.5, "skip": (-1,)}, "a layer to skip=-1"),
        ({"keep": 0.5, "skip": "45"}, "skip='45': must be a sequence"),
        ({"commit": 2.0}, "commit=2.0"),
    ],
)
def test_wrong_actions(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Action(**options)


def test_all_actions_are_combined_once() -> None:
    made = all_actions((0.5, 0.25, 0.5), [(5, 4), ()], (0.9,))
    assert len(made) == len(set(made)) == 3 * 2 * 2 - 1
    assert Action(0.5, (4, 5), 0.9).name == "keep 0.5, skip 4 5, commit at 0.9"
    with pytest.raises(ValueError, match="there is no action"):
        all_actions(())
