"""Skipped layers re-checked in whole answers: what costs too much is given up, layer by layer."""

import math
from typing import Any

import pytest

from saccade.backbones import Prepared
from saccade.controller import Controller, Generation, LayerSkip
from saccade.tuning.recheck import Exam, Marks, recheck
from tests.tiny import fake_request, tiny_model

MODEL = tiny_model()
SHAPE: dict[str, Any] = {"gen_length": 4, "steps": 2}
COST = (4.0, 1.0, 3.0, 2.0)


@pytest.fixture(scope="module")
def inputs() -> list[Prepared]:
    return [fake_request(MODEL, [(40, 30)], seed) for seed in range(3)]


def same(number: int, answer: Generation, bare: Generation) -> float:
    return float(answer.tokens == bare.tokens)


def test_layers_that_cost_nothing_pass_together(inputs: list[Prepared]) -> None:
    calls: list[tuple[int, int]] = []
    (only,) = recheck(
        MODEL,
        (3, 1),
        COST,
        {"a": Exam(inputs, SHAPE, lambda *_: 1.0)},
        progress=lambda *done: calls.append(done),
    )
    assert only.layers == (1, 3) and only.passed and only.marks["a"].loss == 0
    assert calls[-1] == (6, 9)


def test_the_costliest_goes_first_until_none_is_left(inputs: list[Prepared]) -> None:
    scores = iter(range(100, 0, -1))
    exams = {"a": Exam(inputs, SHAPE, lambda *_: float(next(scores)))}
    tried = recheck(MODEL, (0, 1, 2), COST, exams, allowed=0.0)
    assert [own.layers for own in tried] == [(0, 1, 2), (1, 2), (1,)]
    assert not any(own.passed for own in tried)


def test_one_kind_that_loses_is_enough(inputs: list[Prepared]) -> None:
    exams = {"a": Exam(inputs, SHAPE, lambda *_: 1.0), "b": Exam(inputs, SHAPE, same)}
    first = recheck(MODEL, (0, 1, 2, 3), COST, exams, allowed=0.0)[0]
    assert first.marks["a"].loss == 0 < first.marks["b"].loss and not first.passed


def test_all_layers_are_skipped_at_once(inputs: list[Prepared]) -> None:
    seen: list[tuple[int, ...]] = []

    def score(number: int, answer: Generation, bare: Generation) -> float:
        seen.append(tuple(answer.tokens))
        return 1.0

    recheck(MODEL, (1, 2), COST, {"a": Exam(inputs, SHAPE, score)})
    skipping = Controller(LayerSkip(layers=(1, 2)))
    wanted = [MODEL.generate(inputs=own, controller=skipping, **SHAPE).tokens for own in inputs]
    assert seen[3:] == [tuple(tokens) for tokens in wanted]


def test_losses_are_shares_of_the_bare_score() -> None:
    assert Marks(0.8, 0.6, 0.1).loss == pytest.approx(0.25)
    assert Marks(0.0, 0.5, math.nan).loss == 0.0
