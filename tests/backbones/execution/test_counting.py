"""Forwards and looks at the device are counted, and no more of them than promised."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared
from saccade.controller import (
    AfterShare,
    Controller,
    Keep,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.decoding.on_device import OnDevice, looks_counted, on_device
from tests.tiny import fake_request, mixed_requests

KEEP = Controller(Keep(), probe="all")
SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 8}


@pytest.fixture(scope="module")
def request_(model: Model) -> Prepared:
    return fake_request(model)


@contextmanager
def counted_layers(model: Model) -> Iterator[list[tuple[int, ...]]]:
    """Shapes that the first and the last layer were given."""
    calls: list[tuple[int, ...]] = []
    layers = model.network.model.layers
    handles = [
        layer.register_forward_pre_hook(lambda _, args: calls.append(tuple(args[0].shape)))
        for layer in (layers[0], layers[-1])
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("options", [{}, {"cfg_scale": 0.5}], ids=["plain", "guided"])
@pytest.mark.parametrize(
    "controller",
    [None, KEEP, Controller(AfterShare(0.25, 0.4, layer=2, hold=False), FastV())],
    ids=["bare", "keep", "fastv"],
)
def test_one_forward_a_step(
    controller: Controller | None,
    options: dict[str, Any],
    model: Model,
    request_: Prepared,
) -> None:
    with counted_layers(model) as calls:
        out = model.generate(inputs=request_, controller=controller, **SHAPE, **options)
    assert len(calls) == 2 * out.trace.forwards == 2 * len(out.trace) == 2 * SHAPE["steps"]
    rows = [(step.rows_per_layer[0], step.rows_per_layer[-1]) for step in out.trace]
    copies = 2 if options else 1
    assert calls == [(copies, n, 32) for pair in rows for n in pair]
    assert [step.state.step for step in out.trace] == list(range(SHAPE["steps"]))


def test_a_batch_shares_its_forwards(model: Model) -> None:
    with counted_layers(model) as calls:
        outs = model.generate(inputs=mixed_requests(model), controller=KEEP, **SHAPE)
    longest = max(out.trace.forwards for out in outs)
    assert len(calls) == 2 * longest
    for step in range(longest):
        alive = [out.trace.steps[step] for out in outs if out.trace.forwards > step]
        assert {record.batch for record in alive} == {len(alive)} == {calls[2 * step][0]}


TRANSFERS: dict[str, tuple[Controller | None, int]] = {
    "bare": (None, 0),
    "keep": (KEEP, 0),
    "divprune": (Controller(AfterShare(0.5, 0.5), DivPrune()), 1),
    "fastv": (Controller(AfterShare(0.5, 0.5, layer=2, hold=False), FastV()), 1),
    "fastv of all rows": (Controller(AfterShare(0.5, 0.5, layer=1), FastV("all", "logits")), 1),
    "random reads nothing": (Controller(AfterShare(0.5, 0.5), Random()), 0),
    "all gone": (Controller(AfterShare(0.5, 0.0), DivPrune()), 0),
}
"""Controllers, and how often each looks at the device to choose tokens."""


@pytest.mark.parametrize(
    "options", [{}, {"remasking": "random"}, {"temperature": 0.5}, {"cfg_scale": 0.5}], ids=str
)
@pytest.mark.parametrize("name", TRANSFERS)
def test_host_transfers_are_counted(
    name: str, options: dict[str, Any], model: Model, request_: Prepared
) -> None:
    controller, selections = TRANSFERS[name]
    with looks_counted() as looks:
        out = model.generate(
            inputs=on_device(request_), controller=controller, seed=0, **options, **SHAPE
        )
    assert looks == ["cpu"] * (SHAPE["steps"] + selections)
    assert out.trace.host_transfers == len(looks)


@pytest.mark.parametrize("name", TRANSFERS)
def test_a_batch_shares_its_transfers(name: str, model: Model) -> None:
    """All of a step come in one; each sequence counts it, as it would alone."""
    controller, selections = TRANSFERS[name]
    requests = [on_device(request) for request in mixed_requests(model)]
    with looks_counted() as looks:
        outs = model.generate(
            inputs=requests, controller=controller, remasking="random", seed=0, **SHAPE
        )
    choosing = sum(selections for request in requests if len(request.visual_positions))
    assert looks == ["cpu"] * (SHAPE["steps"] + choosing)
    for request, out in zip(requests, outs, strict=True):
        own = selections if len(request.visual_positions) else 0
        assert out.trace.host_transfers == SHAPE["steps"] + own


@pytest.mark.parametrize(
    "look",
    [
        Tensor.item,
        Tensor.tolist,
        Tensor.numpy,
        int,
        float,
        bool,
        range,
        lambda x: x.to("cpu"),
        lambda x: x[None][x[None] > 0],
    ],
)
def test_looks_at_the_device_are_noticed(look: Callable[[Tensor], Any]) -> None:
    """Or the tests above would show little."""
    with looks_counted() as looks:
        look(torch.ones((), dtype=torch.int64).as_subclass(OnDevice) + 1)
    assert len(looks) == 1
