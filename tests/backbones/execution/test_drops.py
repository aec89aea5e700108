"""Drops do what the plan says: counts, restores, positions, and what a pruner is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared
from saccade.backbones.network.decoder import rotary_angles
from saccade.controller import (
    AfterShare,
    Controller,
    Plan,
    PlanError,
    Segments,
)
from saccade.controller.types import round_keep
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.execution.planned import Planned, Spy, plan_of, survivors, visual_counts
from tests.tiny import fake_request

SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 4}
N_LAYERS = 4


@pytest.fixture(scope="module")
def request_(model: Model) -> Prepared:
    return fake_request(model, [(40, 30)])


# --- achieved counts --------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("keep", [0.0, 0.25, 0.6, 0.99, 1.0])
@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("layer", [0, 2])
def test_achieved_counts_are_the_planned(
    layer: int, hold: bool, keep: float, share: float, model: Model, request_: Prepared
) -> None:
    pruner = DivPrune() if layer == 0 else FastV()
    policy = AfterShare(share, keep, layer, hold)
    trace = model.generate(inputs=request_, controller=Controller(policy, pruner), **SHAPE).trace
    full, n = len(request_.visual_positions), round_keep(keep, len(request_.visual_positions))
    clean = {0.0: 0, 0.3: 2, 0.5: 2, 1.0: 4}[share]
    held = (n,) * N_LAYERS if hold else (full,) * layer + (n,) * (N_LAYERS - layer)
    reduced = [(full,) * layer + (n,) * (N_LAYERS - layer)] + [held] * 3
    assert visual_counts(trace) == [(full,) * N_LAYERS] * clean + reduced[: 4 - clean]
    text = len(request_) - full + SHAPE["gen_length"]
    for step in trace:
        assert step.rows_per_layer == tuple(text + count for count in step.visual_per_layer)
        assert len(step.kept) == step.visual_per_layer[-1]
        assert list(step.kept) == sorted(set(step.kept)) and set(step.kept) < set(range(full + 1))
    kept = {step.kept for step in trace.steps[clean:]}
    assert len(kept) <= 1, "one selection serves the rest of the call"


def test_several_drops_and_restores(model: Model, request_: Prepared) -> None:
    plans = [plan_of((1, 0.5), (3, 0.25)), Plan(), plan_of((0, 0.5)), plan_of((2, 0.0))]
    controller = Controller(Planned(plans), DivPrune())
    trace = model.generate(inputs=request_, controller=controller, **SHAPE).trace
    n = len(request_.visual_positions)
    half, quarter = round_keep(0.5, n), round_keep(0.25, n)
    assert visual_counts(trace) == [
        (n, half, half, quarter),
        (n, n, n, n),
        (half, half, half, half),
        (n, n, 0, 0),
    ]
    assert set(trace.steps[0].kept) < set(trace.steps[2].kept)
    assert trace.steps[1].kept == tuple(range(n)) and trace.steps[3].kept == ()


def test_reselect_asks_again(model: Model, request_: Prepared) -> None:
    plans = [plan_of((0, 0.5)), plan_of((0, 0.5)), plan_of((0, 0.5), reselect=True), Plan()]
    spy = Spy(Random())
    controller = Controller(Planned(plans), spy)
    model.generate(inputs=request_, controller=controller, **SHAPE)
    assert [view.step for view in spy.views] == [0, 2]


def test_everything_can_go_without_a_pruner(model: Model, request_: Prepared) -> None:
    out = model.generate(inputs=request_, controller=Controller(AfterShare(0.5, 0.0)), **SHAPE)
    assert visual_counts(out.trace)[-1] == (0,) * N_LAYERS
    with pytest.raises(PlanError, match="no pruner"):
        model.generate(inputs=request_, controller=Controller(AfterShare(0.5, 0.1)), **SHAPE)


def test_text_only_requests_have_nothing_to_lose(model: Model) -> None:
    text = fake_request(model, [])
    bare = model.generate(inputs=text, **SHAPE)
    out = model.generate(inputs=text, controller=Controller(AfterShare(0.0, 0.0)), **SHAPE)
    assert out.tokens == bare.tokens and out.trace.macs == bare.trace.macs
    assert out.trace.n_visual == 0 and out.trace.visual_tokens_ratio == 1.0


# --- positions --------------------------------------------------------------------------------


@contextmanager
def angles_entering(model: Model) -> Iterator[list[Tensor]]:
    """Angles that each layer was given, in order."""
    seen: list[Tensor] = []
    handles = [
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
        for layer in model.network.model.layers
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("batched", [False, True])
def test_survivors_keep_their_positions(batched: bool, model: Model) -> None:
    requests = [fake_request(model, [(40, 30)]), fake_request(model, [(20, 50)], seed=2)]
    requests = requests if batched else requests[:1]
    controller = Controller(AfterShare(0.5, 0.3, layer=2), FastV())
    with angles_entering(model) as seen:
        outs = model.generate(inputs=requests, controller=controller, **SHAPE)
    assert len(seen) == SHAPE["steps"] * N_LAYERS
    for i, (request, out) in enumerate(zip(requests, outs, strict=True)):
        for call, angles in enumerate(seen):
            step, layer = divmod(call, N_LAYERS)
            dropped = step > 2 or (step == 2 and layer >= 2)
            kept = out.trace.steps[2].kept if dropped else range(len(request.visual_positions))
            places = survivors(request, kept, SHAPE["gen_length"])
            language = model.network.language
            wanted = rotary_angles(
                torch.tensor([places]), language.head_dim, language.rope_theta, torch.float32
            )
            assert torch.equal(angles[:, i, :, : len(places)], wanted[:, 0])


def test_the_pruner_sees_what_is_there(model: Model) -> None:
    request = fake_request(model, [(30, 30), (50, 20)], seed=3)
    plans = [plan_of((0, 0.5), (2, 0.2)), Plan(), Plan(), Plan()]
    spy = Spy(Random())
    model.generate(inputs=request, controller=Controller(Planned(plans), spy), seed=5, **SHAPE)
    first, second = spy.views
    visual = request.visual_positions
    assert torch.equal(first.features, request.embeds[visual])
    assert torch.equal(first.images, torch.tensor([0] * 16 + [1] * 16))
    assert torch.equal(first.centers.nan_to_num(-1), request.centers.nan_to_num(-1))
    assert (first.step, first.layer, first.seed) == (0, 0, 5)
    kept = Random().select(first, 16).keep
    assert torch.equal(second.features, first.features[kept])
    assert torch.equal(second.images, first.images[kept])
    assert (second.step, second.layer) == (0, 2)


def test_attention_is_not_there_before_the_first_layer(model: Model, request_: Prepared) -> None:
    controller = Controller(AfterShare(0.5, 0.3, layer=0), FastV())
    with pytest.raises(PlanError, match=r"fastv.*before layer 0.*layer 1 or later"):
        model.generate(inputs=request_, controller=controller, **SHAPE)


def test_a_layer_that_does_not_exist(model: Model, request_: Prepared) -> None:
    controller = Controller(AfterShare(0.5, 0.3, layer=N_LAYERS), FastV())
    with pytest.raises(PlanError, match="tiny has 4 layers"):
        model.generate(inputs=request_, controller=controller, **SHAPE)


def test_segments_tell_kinds_apart(request_: Prepared) -> None:
    segments: Segments = request_.segments
    both = torch.cat([segments.visual, segments.prompt]).sort().values
    assert torch.equal(both, torch.arange(len(request_))) and not len(segments.response)
    assert bool((segments.images[segments.visual] == 0).all())
    assert bool((segments.images[segments.prompt] == -1).all())
