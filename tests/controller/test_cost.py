"""Formulas against what torch counts in a real forward, and against written-out figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from saccade.backbones.network.sizes import SO400M, LanguageConfig
from saccade.backbones.network.token_states import TokenStates
from saccade.backbones.network.tower import tower_macs
from saccade.controller import AfterShare, Controller, Geometry
from saccade.controller.cost import forward_macs, head_macs, layer_macs, paper_macs
from saccade.pruners import FastV, Random
from tests.tiny import TOWER, fake_request, tiny_model

LLADA_V = Geometry(32, 4096, 12288, 32, 32, 126464)
DREAM = Geometry(28, 3584, 18944, 28, 4, 152064)


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Counts multiply-accumulates, those of attention too: SDPA is taken apart into products."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as mode:
        yield lambda: int(mode.get_total_flops()) // 2


@pytest.mark.parametrize("n_kv_heads", [4, 2, 1])
@pytest.mark.parametrize("n", [1, 17, 50])
def test_layers_and_head_are_what_torch_counts(n: int, n_kv_heads: int) -> None:
    model = tiny_model(n_kv_heads=n_kv_heads)
    geometry, network = model.spec.geometry, model.network
    with torch.no_grad(), counting() as counted:
        rows = network.run(TokenStates.of(torch.randn(1, n, 32)))
    assert counted() == 4 * layer_macs(geometry, n, n)
    with torch.no_grad(), counting() as counted:
        network.logits(rows.hidden[:, :5])
    assert counted() == head_macs(geometry, min(n, 5))
    assert forward_macs(geometry, [n] * 4, 5) == 4 * layer_macs(geometry, n, n) + head_macs(
        geometry, 5
    )


def test_fewer_queries_than_keys() -> None:
    config = tiny_model().network.language
    geometry = Geometry(1, 32, 48, 4, 2, 64)
    layer: Any = tiny_model().network.model.layers[0]
    q, cached = 7, 23
    with torch.no_grad(), counting() as counted:
        x = torch.randn(1, q, 32)
        own = layer.self_attn
        queries = own.q_proj(x).unflatten(-1, (4, 8)).transpose(1, 2)
        own.k_proj(x), own.v_proj(x)
        keys = torch.randn(1, 2, q + cached, config.head_dim)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            queries, keys, keys, enable_gqa=True
        )
        layer.mlp(own.o_proj(mixed.transpose(1, 2).flatten(2)))
    assert counted() == layer_macs(geometry, q, q + cached)


@pytest.mark.parametrize("views", [1, 3])
def test_tower_and_projector_are_what_torch_counts(views: int) -> None:
    model = tiny_model()
    with torch.no_grad(), counting() as counted:
        model.network.encode_views(torch.randn(views, 3, 16, 16))
    assert counted() == views * tower_macs(TOWER, model.network.language)


CONTROLLERS = {
    "bare": None,
    "entry": Controller(AfterShare(0.5, 0.3), Random(), probe="needed"),
    "layer": Controller(AfterShare(0.25, 0.3, layer=2, hold=False), Random(), probe="needed"),
}


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("cfg_scale", [0.0, 1.0])
def test_a_trace_holds_what_torch_counts(name: str, cfg_scale: float) -> None:
    model = tiny_model()
    options: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 4}
    with counting() as counted:
        request = fake_request(model, [(30, 40), (40, 30)], seed=1)
    prepared = counted()
    with counting() as counted:
        trace = model.generate(
            inputs=request, controller=CONTROLLERS[name], cfg_scale=cfg_scale, **options
        ).trace
    assert trace.prepare_macs == prepared > 0
    assert trace.macs == counted()
    assert (trace.visual_tokens_ratio < 1) == (name != "bare")


def test_text_costs_no_tower() -> None:
    model = tiny_model()
    options: dict[str, Any] = {"gen_length": 2, "block_length": 2, "steps": 1}
    assert model.generate(inputs=fake_request(model, []), **options).trace.prepare_macs == 0
    page = fake_request(model, [(30, 40)])
    assert page.views == 5
    out = model.generate(inputs=page, **options)
    assert out.trace.prepare_macs == 5 * tower_macs(TOWER, model.network.language)


# --- written-out figures (multiply-accumulates, in units of 1e12) -------------------------------


def trillions(count: int) -> float:
    return count / 1e12


@pytest.mark.parametrize(
    ("geometry", "n", "paper", "gated"),
    [
        (LLADA_V, 1000, 5.63, 7.24),
        (LLADA_V, 3000, 18.47, 23.30),
        (DREAM, 1000, 5.44, 6.73),
    ],
)
def test_published_figures(geometry: Geometry, n: int, paper: float, gated: float) -> None:
    rows = [n] * geometry.n_layers
    exact = forward_macs(geometry, rows, 0)
    assert round(trillions(paper_macs(geometry, rows)), 2) == paper
    assert round(trillions(exact), 2) == gated


@pytest.mark.parametrize(("keys", "count"), [(1000, 0.2154), (265, 0.2107)])
def test_published_figures_of_a_cached_step(keys: int, count: float) -> None:
    exact = DREAM.n_layers * layer_macs(DREAM, 32, keys + 32)
    assert round(trillions(exact), 4) == count


def test_the_paper_leaves_out_a_matrix_of_the_mlp() -> None:
    d, m, n = 4096, 12288, 1000
    assert paper_macs(LLADA_V, [n]) == 4 * n * d * d + 2 * n * n * d + 2 * n * d * m
    assert layer_macs(LLADA_V, n, n) - paper_macs(LLADA_V, [n]) == n * d * m


def test_the_real_tower() -> None:
    language = LanguageConfig(4096, 12288, 32, 32, 32, 126464)
    n, d, m = 729, 1152, 4304
    layers = 26 * (4 * n * d * d + 2 * n * n * d + 2 * n * d * m)
    ends = n * d * 3 * 14 * 14 + n * (d * 4096 + 4096 * 4096)
    assert SO400M.side**2 == n and tower_macs(SO400M, language) == layers + ends


def test_fastv_saves_from_its_layer_on() -> None:
    """``K C(n) + (T - K) C(n')``: the formula of FastV, section 4, for a drop before layer K."""
    model = tiny_model()
    controller = Controller(AfterShare(0.0, 0.5, layer=2, hold=False), FastV())
    request = fake_request(model)
    options: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 1}
    step = model.generate(inputs=request, controller=controller, **options).trace.steps[0]
    n, left = len(request) + 4, len(request) + 4 - (44 - 22)
    geometry = model.spec.geometry
    layers = 2 * layer_macs(geometry, n, n) + 2 * layer_macs(geometry, left, left)
    assert step.macs == layers + head_macs(geometry, 4)
    assert step.macs_paper == paper_macs(geometry, [n, n, left, left])
