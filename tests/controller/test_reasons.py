"""Every plan of an adaptive policy says why: rule, measured value, threshold."""

import logging

import pytest

import saccade
from saccade.controller import BasePolicy, Drop, Plan, Signals, parse_policy
from saccade.controller.reasons import compared, joined
from tests.controller.signal_sequences import run, signals, state
from tests.tiny import fake_page, tiny_model

SURE, UNSURE = signals(confidence=0.96), signals(confidence=0.4)


def reasons(policy: BasePolicy, *shown: Signals) -> list[str]:
    return [plan.reason for plan in run(policy, shown)]


def test_a_ladder_says_what_held_and_how_many_tokens_go() -> None:
    ladder = saccade.Progressive(ladder=(1.0, 0.5, 0.0), cover=0.9)
    assert reasons(ladder, SURE, SURE) == [
        "all tokens stay: step 0 < warmup 1",
        "cover 1.00 >= 0.90, confidence 0.96 >= 0.90: 4 -> 2 tokens",
        "2 tokens stay: cover 0.00 < 0.90",
    ]


@pytest.mark.parametrize(
    ("options", "shown", "reason"),
    [
        ({"every": 3}, [SURE, SURE], "2 tokens stay: 1 steps since the last move < every 3"),
        ({"warmup": 3}, [SURE, SURE], "4 tokens stay: step 2 < warmup 3"),
        ({}, [UNSURE], "4 tokens stay: confidence 0.40 < 0.90, risen by 0.00 < 0.20"),
        ({"rise": 0.1}, [SURE], "4 tokens stay: attention to the answer rose by 0.00 < 0.10"),
        (
            {},
            [signals(confidence=0.2), signals(confidence=0.5)],
            "cover 1.00 >= 0.80, confidence rose by 0.30 >= 0.20: 4 -> 2 tokens",
        ),
        (
            {},
            [SURE, signals(confidence=0.8)],
            "a position lost confidence 0.16 > fall 0.10: 2 -> 4 tokens",
        ),
        (
            {"fall": 1.0, "stall": 2},
            [SURE, UNSURE, UNSURE, UNSURE],
            "confidence 0.40 < 0.90, 2 steps without a gain >= stall 2: 2 -> 4 tokens",
        ),
        (
            {"fall": 1.0},
            [SURE, signals(confidence=0.4), signals(confidence=0.4, picture=0.8)],
            "confidence 0.40 < 0.90, attention to the picture rose by 0.30 > 0.10: 2 -> 4 tokens",
        ),
    ],
)
def test_each_rule_of_a_ladder(
    options: dict[str, float], shown: list[Signals], reason: str
) -> None:
    ladder = saccade.Progressive(ladder=(1.0, 0.5, 0.25), **options)  # type: ignore[arg-type]
    assert reasons(ladder, *shown)[-1] == reason


def test_skipped_layers_are_named_with_what_they_attend() -> None:
    shown = signals(layers=(0.1, 0.8, 0.05, 0.6))
    assert reasons(saccade.LayerSkip(), shown) == [
        "attention to the picture is measured in all layers",
        "attention to the picture < 0.6 of layer 1's 0.80: layer 2: 0.05",
    ]
    none = "no layer that may be skipped attends to the picture less than 0.05 of layer 1's 0.80"
    assert reasons(saccade.LayerSkip(threshold=0.05), shown)[1] == none
    assert reasons(saccade.LayerSkip(layers=(2, 3))) == ["layers 2, 3: known to be skipped"]


@pytest.mark.parametrize(
    ("policy", "step", "n_steps", "reason"),
    [
        ("abstain(confident_commits())", 0, 2, "abstained: 2 steps < 6"),
        ("abstain(confident_commits(0.9))", 0, 6, "commits by confidence >= 0.9"),
        ("confident_commits(1.5, kind='factor')", 0, 6, "commits by the factor rule, 1.5"),
        (
            "layer_skip(layers=(1,)) + confident_commits()",
            0,
            6,
            "layers 1: known to be skipped; commits by confidence >= 0.95",
        ),
    ],
)
def test_wrappers_pass_on_and_add(policy: str, step: int, n_steps: int, reason: str) -> None:
    assert parse_policy(policy).plan(state(step, n_steps), None).reason == reason


def test_bounds_rests_and_refreshes_are_told() -> None:
    ladder = saccade.Progressive(ladder=(1.0, 0.1))
    plans = reasons(saccade.Clamp(ladder, least=0.5), SURE)
    assert plans[1].endswith("4 -> 1 tokens; clamped to keep 0.5 to 1")
    held = reasons(saccade.EveryNSteps(saccade.LayerSkip(layers=(1,)), 2))
    assert held == ["layers 1: known to be skipped"]
    held = reasons(saccade.EveryNSteps(saccade.LayerSkip(layers=(1,)), 2), SURE)
    assert held[1] == "layers 1: known to be skipped; held since step 0"


def test_reasons_change_no_plan() -> None:
    plan = Plan((Drop(0, 0.5),), bypass=frozenset({1}))
    told = plan.because("so")
    assert told == plan and hash(told) == hash(plan) and told.reason == "so" and not plan.reason
    with pytest.raises(TypeError, match="reason=7; give a text"):
        Plan(reason=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "sign", "limit", "text"),
    [
        (0.83, ">=", 0.8, "cover 0.83 >= 0.80"),
        (0.7999, "<", 0.8, "cover 0.7999 < 0.8000"),
        (0.8, ">=", 0.8, "cover 0.80 >= 0.80"),
        (0.79999999, "<", 0.8, "cover 0.79999999 < 0.80000000"),
    ],
)
def test_values_are_told_apart_from_limits(
    value: float, sign: str, limit: float, text: str
) -> None:
    assert compared("cover", value, sign, limit) == text


def test_nothing_said_is_left_out() -> None:
    assert joined("", "a", "", "b") == "a; b" and joined("", "") == ""


def test_trace_and_log_show_them(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(tokenizer=True)
    with caplog.at_level(logging.DEBUG, logger="saccade"):
        out = model.generate(
            "hello",
            [fake_page()],
            gen_length=8,
            block_length=8,
            steps=8,
            controller=saccade.Controller(),
        )
    frame = out.trace.to_frame()
    told = [step.plan.reason for step in out.trace.steps]
    assert frame["reason"].tolist() == told and all(told)
    assert [record.getMessage() for record in caplog.records if "sequence" in record.getMessage()][
        0
    ] == f"sequence 0, step 0: {told[0]}"


@pytest.mark.parametrize(
    ("value", "sign", "limit", "said"),
    [
        (0.79999999, "<", 0.8, "x 0.79999999 < 0.80000000"),
        (1e-9, "<", 2e-9, "x 0.000000001 < 0.000000002"),
        (-0.001, "<", 0.0, "x -0.001 < 0.000"),
        (-0.0, "=", 0.0, "x 0.00 = 0.00"),
        (0.1 + 0.2, ">", 0.3, "x 0.30000000000000004 > 0.29999999999999999"),
        (float("nan"), "<", 0.8, "x nan < 0.80"),
    ],
)
def test_numbers_that_differ_are_written_so(
    value: float, sign: str, limit: float, said: str
) -> None:
    assert compared("x", value, sign, limit) == said


def test_a_reason_is_a_text() -> None:
    given: list[object] = [None, 3, b"why"]
    for each in given:
        with pytest.raises(TypeError, match="Plan: reason=.*; give a text"):
            Plan().because(each)  # type: ignore[arg-type]
