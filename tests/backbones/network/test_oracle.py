"""Logits and measured attention are those of a naive forward over the rows that are left."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared, StepView
from saccade.controller import (
    AfterShare,
    Controller,
    Generation,
    Plan,
    Pruner,
)
from saccade.controller.types import round_keep
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.execution.planned import Planned, Spy, plan_of, survivors, visual_counts
from tests.backbones.network.naive import Naive, masses_by_kind, naive_forward
from tests.tiny import MASK, fake_request

SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 4}
N_LAYERS = 4


@pytest.fixture(scope="module")
def request_(model: Model) -> Prepared:
    return fake_request(model, [(40, 30)])


def embedded(model: Model, request: Prepared, ids: Sequence[int]) -> Tensor:
    with torch.inference_mode():
        response = model.network.model.embed_tokens(torch.tensor(ids))
        return torch.cat([request.embeds, response])


def compare_with_naive(
    model: Model,
    request: Prepared,
    out: Generation,
    seen: Sequence[StepView],
    alive: Callable[[int], dict[int, list[int]]],
    embed: Callable[[Sequence[int]], Tensor] | None = None,
) -> list[Naive]:
    """Compare every step's logits with those of a physically shortened sequence."""
    ids, runs = [MASK] * SHAPE["gen_length"], []
    for view in seen:
        x = embedded(model, request, ids) if embed is None else embed(ids)
        runs.append(naive_forward(model.network, x, alive(view.step)))
        wanted, free = runs[-1].logits[-len(ids) :], view.logits.isfinite()
        assert not free[torch.tensor(ids) == MASK][:, list(model.spec.forbidden_ids)].any()
        torch.testing.assert_close(view.logits[free], wanted[free], atol=1e-4, rtol=1e-4)
        ids = list(view.record.tokens)
    assert list(out.tokens) == ids
    return runs


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("pruner", [DivPrune(), Random(1)], ids=repr)
def test_entry_drops(pruner: Pruner, keep: float, model: Model, request_: Prepared) -> None:
    seen: list[StepView] = []
    controller = Controller(AfterShare(0.5, keep), pruner)
    out = model.generate(inputs=request_, controller=controller, callback=seen.append, **SHAPE)

    def alive(step: int) -> dict[int, list[int]]:
        return {0: survivors(request_, out.trace.steps[step].kept, SHAPE["gen_length"])}

    compare_with_naive(model, request_, out, seen, alive)


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("queries", ["response", "all", "last"])
def test_fastv_before_layer_two(queries: Any, hold: bool, model: Model, request_: Prepared) -> None:
    seen: list[StepView] = []
    spy = Spy(FastV(queries))
    controller = Controller(AfterShare(0.25, 0.4, 2, hold), spy)
    out = model.generate(inputs=request_, controller=controller, callback=seen.append, **SHAPE)
    kept = out.trace.steps[1].kept

    def alive(step: int) -> dict[int, list[int]]:
        layer = 2 if step == 1 or not hold else 0
        return {layer: survivors(request_, kept, SHAPE["gen_length"])} if step else {}

    runs = compare_with_naive(model, request_, out, seen, alive)
    rows = {
        "response": slice(-SHAPE["gen_length"], None),
        "all": slice(None),
        "last": slice(-1, None),
    }
    attention = runs[1].attention[1].mean(0)[rows[queries]].mean(0)
    received = attention[torch.from_numpy(request_.visual_positions)]
    torch.testing.assert_close(spy.views[0].attention[queries], received, atol=1e-5, rtol=1e-4)
    assert sorted(received.topk(len(kept)).indices.tolist()) == list(kept)
    assert [(view.step, view.layer) for view in spy.views] == [(1, 2)]


def test_a_later_drop_chooses_by_the_layer_before_it(model: Model, request_: Prepared) -> None:
    """Also where a selection made earlier has lost tokens since, and must be made again."""
    plans = [plan_of((3, 0.2)), plan_of((1, 0.5), (3, 0.2)), Plan(), Plan()]
    spy, seen = Spy(FastV("all")), list[StepView]()
    controller = Controller(Planned(plans), spy)
    out = model.generate(inputs=request_, controller=controller, callback=seen.append, **SHAPE)
    n = len(request_.visual_positions)
    half, fifth = round_keep(0.5, n), round_keep(0.2, n)
    assert visual_counts(out.trace)[1] == (n, half, half, fifth)
    asked = [(view.step, view.layer, len(view)) for view in spy.views]
    assert asked == [(0, 3, n), (1, 1, n), (1, 3, half)], "choose other shares: nothing was lost"

    first = sorted(spy.views[1].attention["all"].topk(half).indices.tolist())
    last = out.trace.steps[1].kept
    assert set(last) < set(first)
    x = embedded(model, request_, out.trace.steps[0].tokens)
    response = SHAPE["gen_length"]
    stays = {1: survivors(request_, first, response), 3: survivors(request_, last, response)}
    run = naive_forward(model.network, x, stays)
    places = [stays[1].index(int(at)) for at in request_.visual_positions[first]]
    received = run.attention[2].mean((0, 1))[places]
    torch.testing.assert_close(spy.views[2].attention["all"], received, atol=1e-5, rtol=1e-4)
    wanted, free = run.logits[-response:], seen[1].logits.isfinite()
    torch.testing.assert_close(seen[1].logits[free], wanted[free], atol=1e-4, rtol=1e-4)


def naive_masses(
    run: Naive,
    request: Prepared,
    alive: dict[int, list[int]],
    n: int,
    rows: Sequence[int] | None = None,
) -> Tensor:
    """Attention (n_layers, 3) of the last `n` rows, or some of them, on prompt, visual and response
    tokens."""
    kinds = torch.from_numpy(request.kinds_with_response(n))
    return masses_by_kind(run, kinds, n, range(n) if rows is None else rows, alive)


def naive_received(run: Naive, request: Prepared, alive: dict[int, list[int]], n: int) -> Tensor:
    """Attention (N,) on each visual token of the last `n` rows, where that is most in sum."""
    here, layers = torch.arange(len(request) + n), []
    for layer, weights in enumerate(run.attention):
        here = torch.tensor(alive[layer]) if layer in alive else here
        total = torch.zeros(len(request) + n)
        total[here] = weights.mean(0)[-n:].mean(0)
        layers.append(total[torch.from_numpy(request.visual_positions)])
    return max(layers, key=lambda seen: float(seen.sum()))


@pytest.mark.parametrize("head_mean", ["weights", "logits"])
@pytest.mark.parametrize(
    "options", [{}, {"cfg_scale": 0.7}, {"generation_suffix": (5, 6)}], ids=str
)
def test_what_is_measured_is_what_the_naive_forward_attends_to(
    options: dict[str, Any], head_mean: Any, model: Model
) -> None:
    """In a padded batch, before and after drops; with guidance in the guided copy alone."""
    sizes: list[list[tuple[int, int]]] = [[(40, 30)], [], [(20, 50)], [(90, 20)]]
    requests = [fake_request(model, each, seed) for seed, each in enumerate(sizes)]
    assert len({len(request) for request in requests}) == len(requests)
    plans = [Plan(), plan_of((2, 0.4)), plan_of((0, 0.4)), plan_of((1, 0.4), reselect=True)]
    layers, spy, seen = [None, 2, 0, 1], Spy(FastV("all", head_mean)), list[StepView]()
    controller = Controller(Planned(plans), spy, tokens=True)
    model.generate(inputs=requests, controller=controller, callback=seen.append, **options, **SHAPE)
    start = [MASK] * SHAPE["gen_length"] + list(options.get("generation_suffix", ()))
    ids = [start] * len(requests)
    views = iter(spy.views)
    for view in seen:
        request, layer = requests[view.sequence], layers[view.step]
        stays = survivors(request, view.record.kept, len(start))
        alive = {} if layer is None else {layer: stays}
        run = naive_forward(model.network, embedded(model, request, ids[view.sequence]), alive)
        wanted, signals = naive_masses(run, request, alive, len(start)), view.record.signals
        for kind, name in enumerate(("attention_prompt", "attention_visual", "attention_response")):
            torch.testing.assert_close(getattr(signals, name), wanted[:, kind])
        still = [i for i, token in enumerate(ids[view.sequence]) if token == MASK]
        masked = naive_masses(run, request, alive, len(start), still)
        for kind, name in enumerate(
            ("attention_prompt_masked", "attention_visual_masked", "attention_response_masked")
        ):
            torch.testing.assert_close(getattr(signals, name), masked[:, kind])
        received = naive_received(run, request, alive, len(start))
        torch.testing.assert_close(signals.received, received, atol=1e-5, rtol=1e-4)
        if layer and len(request.visual_positions):
            (shown,), kept = next(views).attention.values(), list(view.record.kept)
            weights = run.attention[layer - 1]
            if head_mean == "logits":  # a softmax leaves its row's logits but for a constant
                weights = weights.log().mean(0, keepdim=True).softmax(-1)
            received = weights.mean((0, 1))[request.visual_positions]
            torch.testing.assert_close(shown, received, atol=1e-5, rtol=1e-4)
            assert sorted(received.topk(len(kept)).indices.tolist()) == kept
        ids[view.sequence] = list(view.record.tokens)
    assert next(views, None) is None


@pytest.mark.parametrize("keep", [0.0, 0.3])
def test_guidance_reduces_both_copies(keep: float, model: Model, request_: Prepared) -> None:
    scale, seen = 0.7, list[StepView]()
    controller = Controller(AfterShare(0.25, keep), DivPrune())
    out = model.generate(
        inputs=request_, controller=controller, callback=seen.append, cfg_scale=scale, **SHAPE
    )
    ids = [MASK] * SHAPE["gen_length"]
    blind = embedded(model, request_, [MASK] * len(request_))[len(request_) :]
    for view in seen:
        stays = {0: survivors(request_, view.record.kept, len(ids))}
        x = embedded(model, request_, ids)
        given = naive_forward(model.network, x, stays).logits[-len(ids) :]
        x = torch.cat([blind, x[len(request_) :]])
        free = naive_forward(model.network, x, stays).logits[-len(ids) :]
        wanted, finite = free + (scale + 1) * (given - free), view.logits.isfinite()
        # Guidance multiplies the rounding of both copies.
        torch.testing.assert_close(view.logits[finite], wanted[finite], atol=3e-4, rtol=1e-4)
        ids = list(view.record.tokens)
    n = round_keep(keep, len(request_.visual_positions))
    assert visual_counts(out.trace)[1:] == [(n,) * N_LAYERS] * 3
    single = model.generate(inputs=request_, controller=controller, **SHAPE)
    assert out.trace.steps[-1].macs == 2 * single.trace.steps[-1].macs
