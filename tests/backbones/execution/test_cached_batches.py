"""What a request gets never depends on its batch: models with a cache."""

from typing import Any

import pytest

from saccade.backbones import Model
from saccade.backbones.families import lavida_dream, lavida_llada, llava_ar
from saccade.controller import (
    AfterShare,
    Auto,
    BasePolicy,
    Controller,
    Drop,
    LayerSkip,
    Plan,
    Progressive,
    Pruner,
    Signals,
    StepState,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.decoding.test_batches import BySignals, close, facts
from tests.tiny import mixed_requests, tiny_model


class Restless(BasePolicy):
    """Drops more and less from step to step, by the signals of its own sequence."""

    reads = frozenset({"confidence"})

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        sure = 0.5 if signals is None else signals.mean_confidence or 0.5
        ratio = round(sure * 1000) % 4 / 4
        return Plan((Drop(state.step // 4, ratio),), reselect=state.step == 4)

    def reset(self) -> None: ...


CONTROLLERS: dict[str, tuple[BasePolicy, Pruner | None] | None] = {
    "bare": None,
    "divprune": (AfterShare(0.0, 0.3), DivPrune()),
    "random, later": (AfterShare(0.5, 0.4), Random(3)),
    "fastv of the last row": (AfterShare(0.0, 0.3, layer=2), FastV("last")),
    "fastv of all rows": (AfterShare(0.0, 0.3, layer=1, hold=False), FastV("all")),
    "fastv of the answer, later": (AfterShare(0.25, 0.3, layer=3, hold=False), FastV()),
    "by signals": (BySignals(1), Random()),
    "restless": (Restless(), Random()),
    "all gone": (AfterShare(0.25, 0.0, layer=2, hold=False), None),
    "progressive": (Progressive((1, 0.5, 0.2), 1, 1, sure=0.0, fall=0.05), Random()),
    "layer-skip": (LayerSkip(0.9, early=True, again=3), None),
    "auto": (Auto(commit=0.3, layers=(1, 3), steps=2), None),
}
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "prefix": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 6}),
    "full": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 4, "prefix_lm": False}),
    "sampled": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 5, "temperature": 0.8, "seed": 2}),
    "by chance": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 5, "alg": "origin", "seed": 3}),
    "blocks": (
        lavida_llada.FAMILY,
        {"gen_length": 8, "block_length": 4, "steps": 6, "prefix_lm": True},
    ),
    "causal": (llava_ar.FAMILY, {"gen_length": 7}),
    "causal, sampled": (llava_ar.FAMILY, {"gen_length": 7, "temperature": 0.9, "seed": 5}),
}
MODELS: dict[str, Model] = {}
FEW = ("bare", "fastv of the last row", "restless", "progressive")
PAIRS = [
    (family, name)
    for family in FAMILIES
    for name in (CONTROLLERS if family in ("prefix", "causal") else FEW)
]


def model_of(family: str) -> Model:
    kind = FAMILIES[family][0]
    return MODELS.setdefault(kind.name, tiny_model(family=kind))


@pytest.mark.parametrize(("family", "name"), PAIRS)
@pytest.mark.parametrize("positions", ["original", "compact"])
def test_a_batch_gives_what_singles_give(family: str, name: str, positions: Any) -> None:
    model, made = model_of(family), CONTROLLERS[name]
    if made is None and positions == "compact":
        pytest.skip("the bare model has no controller to ask")
    if positions == "compact" and name in ("layer-skip", "auto"):
        pytest.skip("compact positions know no skipping")
    controller = None if made is None else Controller(*made, positions=positions, probe="all")
    requests = mixed_requests(model)
    greedy = model.generate(inputs=requests, **FAMILIES[family][1])
    stops = [[greedy[0].tokens[3]], [greedy[5].tokens[5]]]
    options = {**FAMILIES[family][1], "stopping_criteria": stops, "controller": controller}
    singles = [model.generate(inputs=request, **options) for request in requests]
    batch = model.generate(inputs=requests, **options)
    for one, other in zip(singles, batch, strict=True):
        assert other.tokens == one.tokens
        assert facts(other) == facts(one)
        assert other.trace.host_transfers == one.trace.host_transfers
        for step, alone in zip(other.trace, one.trace, strict=True):
            close(step.signals, alone.signals)


def test_the_batch_is_a_hard_one() -> None:
    """Restless plans cut and refresh at different times in different sequences."""
    model = model_of("prefix")
    controller = Controller(Restless(), Random())
    outs = model.generate(
        inputs=mixed_requests(model), controller=controller, **FAMILIES["prefix"][1]
    )
    refreshed = {tuple(step.refreshed for step in out.trace) for out in outs}
    counts = {tuple(step.visual_per_layer for step in out.trace) for out in outs}
    assert len(refreshed) > 2 and len(counts) > 5
    assert any(step.keys_per_layer[0] != step.keys_per_layer[3] for o in outs for step in o.trace)
