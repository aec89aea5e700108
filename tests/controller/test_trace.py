"""Traces add up, and leave as plain values."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from saccade.controller import (
    CommitRule,
    Controller,
    Drop,
    Plan,
    Signals,
    StepRecord,
    StepState,
    Trace,
)
from tests.tiny import fake_request, tiny_model


def record(step: int, **changes: Any) -> StepRecord:
    values: dict[str, Any] = {
        "state": StepState(step, 4, 0, 1, 4 - step, step),
        "plan": Plan((Drop(1, 0.5),)) if step else Plan(),
        "signals": Signals(
            attention_visual=torch.tensor([0.25, torch.nan]),
            confidence=torch.tensor([0.5, 0.123456789, torch.nan], dtype=torch.float64),
            masked=torch.tensor([True, True, False]),
        ),
        "committed": (step,),
        "tokens": (1, 2, 63),
        "visual_per_layer": (10, 5) if step else (10, 10),
        "rows_per_layer": (20, 15) if step else (20, 20),
        "keys_per_layer": (30, 25) if step else (30, 30),
        "refreshed": not step,
        "kept": (0, 2, 4, 6, 8) if step else tuple(range(10)),
        "macs": 100 - step,
        "macs_paper": 50 - step,
        "seconds": 0.5,
        "batch": 2,
    }
    return StepRecord(**{**values, **changes})


TRACE = Trace(tuple(record(step) for step in range(3)), n_visual=10, prepare_macs=7)


def test_sums() -> None:
    assert TRACE.forwards == len(TRACE) == len(list(TRACE)) == 3
    assert TRACE.macs == 100 + 99 + 98 and TRACE.macs_paper == 50 + 49 + 48
    assert TRACE.refreshes == 1
    assert TRACE.visual_tokens == 20 + 15 + 15
    assert TRACE.visual_tokens_ratio == pytest.approx(50 / 60)


@pytest.mark.parametrize("n_visual", [0, 10])
def test_nothing_to_read_is_all_read(n_visual: int) -> None:
    empty = Trace((), n_visual)
    assert (empty.forwards, empty.macs, empty.visual_tokens, len(empty.records())) == (0, 0, 0, 0)
    assert empty.visual_tokens_ratio == 1.0
    text = Trace((record(0, visual_per_layer=(0, 0)),), 0)
    assert text.visual_tokens_ratio == 1.0


def test_records_are_plain_values() -> None:
    first, second, _ = TRACE.records()
    assert {key: first[key] for key in ("step", "n_steps", "block", "masked", "committed")} == {
        "step": 0,
        "n_steps": 4,
        "block": 0,
        "masked": 4,
        "committed": 0,
    }
    assert first["drops"] == [] and second["drops"] == [[1, 0.5]]
    assert second["committed_now"] == [1] and second["kept"] == [0, 2, 4, 6, 8]
    assert second["visual_per_layer"] == [10, 5] and second["macs"] == 99
    assert first["attention_visual"] == [0.25, None] and first["attention_prompt"] is None
    assert first["confidence"] == [0.5, 0.123457, None]
    assert first["min_confidence"] == pytest.approx(0.123456789)
    assert first["mean_confidence"] == pytest.approx((0.5 + 0.123456789) / 2)


def test_no_confidence_is_none() -> None:
    nothing = Trace((record(0, signals=Signals()),), 10).records()[0]
    assert nothing["confidence"] is nothing["mean_confidence"] is nothing["min_confidence"] is None


def test_a_confidence_that_is_no_number_is_none() -> None:
    unknown = Signals(confidence=torch.tensor([torch.nan, 0.5]), masked=torch.tensor([True, True]))
    first = Trace((record(0, signals=unknown),), 10).records()[0]
    assert first["confidence"] == [None, 0.5]
    assert first["mean_confidence"] == first["min_confidence"] == 0.5, "of those that are known"
    none = Signals(confidence=torch.tensor([torch.nan]), masked=torch.tensor([True]))
    first = Trace((record(0, signals=none),), 10).records()[0]
    assert first["mean_confidence"] is first["min_confidence"] is None


def test_the_plan_is_told_in_full() -> None:
    plan = Plan((), frozenset({3, 1}), True, CommitRule("factor", 2.0), True)
    first = Trace((record(0, plan=plan),), 10).records()[0]
    told = {key: first[key] for key in ("drops", "bypass", "refresh", "commit", "reselect")}
    assert told == {
        "drops": [],
        "bypass": [1, 3],
        "refresh": True,
        "commit": ["factor", 2.0],
        "reselect": True,
    }
    assert TRACE.records()[0]["commit"] is None


def strict(text: str) -> Any:
    """JSON without NaN and Infinity, which are no JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_lines_round_trip(tmp_path: Path) -> None:
    TRACE.to_jsonl(tmp_path / "trace.jsonl")
    lines = (tmp_path / "trace.jsonl").read_text(encoding="utf-8").splitlines()
    assert [strict(line) for line in lines] == TRACE.records()


def test_a_frame_has_a_row_a_step() -> None:
    frame = TRACE.to_frame()
    assert len(frame) == 3 and list(frame["step"]) == [0, 1, 2]
    assert list(frame["macs"]) == [100, 99, 98] and set(frame.columns) == set(TRACE.records()[0])


@pytest.mark.parametrize("probe", ["all", "needed", frozenset({1})])
def test_a_real_trace(probe: Any, tmp_path: Path) -> None:
    model = tiny_model()
    request = fake_request(model)
    controller = Controller(probe=probe)
    out = model.generate(
        inputs=request, controller=controller, gen_length=8, block_length=4, steps=4
    )
    out.trace.to_jsonl(str(tmp_path / "trace.jsonl"))
    lines = (tmp_path / "trace.jsonl").read_text(encoding="utf-8").splitlines()
    assert [strict(line) for line in lines] == out.trace.records()
    assert len(out.trace.to_frame()) == 4
    filled: set[int] = set()
    for step in out.trace:
        signals = step.signals
        masses = [signals.attention_visual, signals.attention_prompt, signals.attention_response]
        if probe == "needed":
            assert masses == [None, None, None]
        else:
            total = sum(mass for mass in masses if mass is not None)
            wanted = torch.tensor(
                [1.0] * 4 if probe == "all" else [torch.nan, 1.0] + [torch.nan] * 2
            )
            torch.testing.assert_close(total, wanted, equal_nan=True)
        assert signals.confidence is not None and signals.entropy is not None
        assert signals.confidence.shape == signals.entropy.shape == (8,)
        assert bool(((signals.confidence > 0) & (signals.confidence <= 1)).all())
        assert bool(((signals.entropy >= 0) & (signals.entropy <= math.log(64))).all())
        assert signals.masked is not None and int(signals.masked.sum()) == step.state.masked
        assert not filled & set(step.committed) and step.seconds > 0 and step.batch == 1
        filled |= {i for i in step.committed if step.tokens[i] != model.spec.mask_id}
    assert step.tokens == out.tokens
