"""What a request gets never depends on what else is in its batch."""

from dataclasses import astuple, dataclass
from typing import Any

import pytest
import torch

from saccade.backbones import Model, Prepared, StepView
from saccade.controller import (
    AfterShare,
    Auto,
    BasePolicy,
    Controller,
    Cumulative,
    Drop,
    Generation,
    LayerSkip,
    Plan,
    Progressive,
    Pruner,
    Signals,
    StepState,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.tiny import fake_page, mixed_requests, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 12, "block_length": 6, "steps": 8}


@dataclass
class BySignals(BasePolicy):
    """Drops before a layer once the model looks elsewhere or is sure; remembers that it did."""

    layer: int
    reads: frozenset[str] = frozenset({"attention", "confidence"})
    drops: int = 0

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        if signals is None or signals.attention_visual is None:
            return Plan()
        looked, sure = float(signals.attention_visual.mean()), signals.mean_confidence or 0.0
        if looked > 0.4 and sure < 0.22:
            return Plan()
        self.drops += 1
        keep = 0.5 if self.drops < 3 else 0.2
        return Plan((Drop(self.layer, keep),), reselect=self.drops == 3)

    def reset(self) -> None:
        self.drops = 0


CONTROLLERS: dict[str, tuple[BasePolicy, Pruner | None] | None] = {
    "bare": None,
    "keep": (AfterShare(1.0, 1.0), None),
    "divprune": (AfterShare(0.5, 0.3), DivPrune()),
    "random": (AfterShare(0.0, 0.3), Random(3)),
    "fastv, held": (AfterShare(0.25, 0.3, layer=2), FastV()),
    "fastv of all rows": (AfterShare(0.25, 0.3, layer=3, hold=False), FastV("all")),
    "fastv by logits": (AfterShare(0.25, 0.3, layer=3), FastV("all", "logits")),
    "fastv of the last row": (AfterShare(0.25, 0.3, layer=3, hold=False), FastV("last")),
    "by signals, divprune": (BySignals(0), DivPrune()),
    "by signals, fastv": (BySignals(2), FastV()),
    "all gone": (AfterShare(0.5, 0.0), None),
    "progressive": (Progressive((1, 0.5, 0.2), 1, 1, sure=0.0, fall=0.05), None),
    "layer-skip": (LayerSkip(0.9, early=True, again=3), None),
    "auto": (Auto(commit=0.3), None),
    "cumulative": (Cumulative(), None),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"temperature": 0.8, "seed": 4},
    "random order": {"remasking": "random", "seed": 5},
    "sampled in random order": {"temperature": 0.5, "remasking": "random", "seed": 6},
    "guided": {"cfg_scale": 0.5},
    "with a cached prefix": {"prefix_refresh_interval": 3},
    "by the factor rule": {"prefix_refresh_interval": 2, "factor": 2.0},
}
FEW = ("bare", "divprune", "random", "fastv, held", "auto")
THOROUGH = ("greedy", "sampled in random order", "with a cached prefix")
PAIRS = [
    (choice, name) for choice in OPTIONS for name in (CONTROLLERS if choice in THOROUGH else FEW)
]


@pytest.fixture(scope="module")
def requests(model: Model) -> list[Prepared]:
    return mixed_requests(model)


@pytest.fixture(scope="module")
def stops(model: Model, requests: list[Prepared]) -> list[list[int]]:
    """Tokens at which some answers end early, and others late or never."""
    answers = [out.tokens for out in model.generate(inputs=requests, **SHAPE)]
    return [[answers[0][2]], [answers[4][7]]]


def facts(out: Generation) -> list[Any]:
    """Everything of a trace that is exact."""
    return [
        (step.state, step.plan, step.committed, step.tokens, step.kept)
        + (step.visual_per_layer, step.rows_per_layer, step.keys_per_layer, step.refreshed)
        + (step.macs, step.macs_paper)
        for step in out.trace
    ]


KINDS = ("visual", "prompt", "response")
SEEN = [f"attention_{kind}{rows}" for rows in ("", "_masked") for kind in KINDS]


def close(a: Signals, b: Signals) -> None:
    for name in (*SEEN, "received"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        if x is not None:
            torch.testing.assert_close(x, y, atol=1e-4, rtol=0, equal_nan=True)
    for name in ("confidence", "entropy", "margin"):
        x, y = getattr(a, name), getattr(b, name)
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4, equal_nan=True)
    assert a.masked is not None and b.masked is not None and torch.equal(a.masked, b.masked)
    assert a.committed == b.committed and (a.change is None) == (b.change is None)
    if a.change is not None and b.change is not None:
        for one, other in zip(astuple(a.change), astuple(b.change), strict=True):
            assert one == (None if other is None else pytest.approx(other, abs=1e-4))


@pytest.mark.parametrize(("choice", "name"), PAIRS)
def test_a_batch_gives_what_singles_give(
    name: str,
    choice: str,
    model: Model,
    requests: list[Prepared],
    stops: list[list[int]],
) -> None:
    made = CONTROLLERS[name]
    controller = None if made is None else Controller(*made, probe="all", tokens=name in FEW)
    options = {**SHAPE, **OPTIONS[choice], "stopping_criteria": stops, "controller": controller}
    singles = [model.generate(inputs=request, **options) for request in requests]
    batch = model.generate(inputs=requests, **options)
    for one, other in zip(singles, batch, strict=True):
        assert other.tokens == one.tokens and other.text is None
        assert facts(other) == facts(one)
        assert other.trace.n_visual == one.trace.n_visual
        assert other.trace.prepare_macs == one.trace.prepare_macs
        assert other.trace.host_transfers == one.trace.host_transfers
        for step, alone in zip(other.trace, one.trace, strict=True):
            close(step.signals, alone.signals)
    backwards = model.generate(inputs=requests[::-1], **options)[::-1]
    assert [out.tokens for out in backwards] == [out.tokens for out in batch]


def test_the_batch_is_a_hard_one(
    model: Model, requests: list[Prepared], stops: list[list[int]]
) -> None:
    """Lengths, ends and plans differ, or the test above would show little."""
    controller = Controller(BySignals(2), FastV())
    outs = model.generate(inputs=requests, stopping_criteria=stops, controller=controller, **SHAPE)
    assert len({len(request) for request in requests}) > 5
    assert len({out.trace.forwards for out in outs}) > 2
    assert len({len(out.tokens) for out in outs}) > 2
    plans = {tuple(step.plan for step in out.trace) for out in outs if out.trace.n_visual}
    assert len(plans) > 2
    keeps = {drop.keep for out in outs for step in out.trace for drop in step.plan.drops}
    assert keeps == {0.5, 0.2}


def test_the_same_seed_the_same_answer(model: Model, requests: list[Prepared]) -> None:
    options = {**SHAPE, "temperature": 1.0, "remasking": "random"}
    first, second, third = (
        [out.tokens for out in model.generate(inputs=requests, seed=seed, **options)]
        for seed in (1, 1, 2)
    )
    assert first == second != third


def test_a_seed_leaves_the_global_generator_alone(model: Model, requests: list[Prepared]) -> None:
    before = torch.get_rng_state()
    controller = Controller(AfterShare(0.5, 0.5), Random())
    model.generate(inputs=requests, controller=controller, temperature=1.0, seed=1, **SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_the_global_generator_decides(
    model: Model, requests: list[Prepared]
) -> None:
    answers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        answers.append(model.generate(inputs=requests[0], temperature=1.0, **SHAPE).tokens)
    assert answers[0] == answers[1] != answers[2]


def test_callbacks_see_every_sequence_and_step(model: Model, requests: list[Prepared]) -> None:
    seen: list[StepView] = []
    outs = model.generate(inputs=requests, callback=seen.append, **SHAPE)
    for number, out in enumerate(outs):
        own = [view for view in seen if view.sequence == number]
        assert [view.step for view in own] == list(range(out.trace.forwards))
        assert [view.record for view in own] == list(out.trace.steps)
        for view in own:
            assert view.logits.shape == (SHAPE["gen_length"], model.spec.geometry.vocab)
            assert view.record.committed == view.commit.filled
            committed = [view.record.tokens[i] for i in view.commit.filled]
            assert committed == [int(view.chosen[i]) for i in view.commit.filled]


def test_prompts_and_prepared_inputs_agree() -> None:
    model = tiny_model(tokenizer=True)
    prompts, images = ["What?", "And now?"], [[fake_page()], []]
    batch = model.generate(prompts, images, **SHAPE)
    singles = [model.generate(p, i, **SHAPE) for p, i in zip(prompts, images, strict=True)]
    inputs = [model.prepare(p, i) for p, i in zip(prompts, images, strict=True)]
    prepared = model.generate(inputs=inputs, **SHAPE)
    answers = [[(out.tokens, out.text) for out in outs] for outs in (batch, singles, prepared)]
    assert answers[0] == answers[1] == answers[2]
    assert all(isinstance(out.text, str) for out in batch)
    assert model.generate([], **SHAPE) == []
