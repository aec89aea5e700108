"""Transfers to the host of models with a cache: as many as the trace says, and no more."""

from typing import Any

import pytest

from saccade.backbones import Model
from saccade.backbones.families import lavida_dream, llada_v, llava_ar
from saccade.controller import AfterShare, Controller, Keep
from saccade.pruners import DivPrune, FastV
from tests.backbones.decoding.on_device import looks_counted, on_device
from tests.tiny import fake_request, tiny_model

RUNS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "prefix mode": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 4}, 4 + 1),
    "full mode": (lavida_dream.FAMILY, {"gen_length": 8, "steps": 4, "prefix_lm": False}, 4),
    "causal": (llava_ar.FAMILY, {"gen_length": 5}, 5),
    "cached prefix": (
        llada_v.FAMILY,
        {"gen_length": 8, "block_length": 4, "steps": 8, "prefix_refresh_interval": 3},
        8,
    ),
}
"""A family, options, and how often the host looks: once a step, and for a first token."""
CONTROLLERS: dict[str, tuple[Controller | None, int]] = {
    "bare": (None, 0),
    "keep": (Controller(Keep(), probe="all"), 0),
    "divprune": (Controller(AfterShare(0.5, 0.3), DivPrune()), 1),
    "fastv, from the start": (Controller(AfterShare(0.0, 0.3, layer=2), FastV("last")), 1),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", CONTROLLERS)
def test_host_transfers_are_counted(name: str, run: str) -> None:
    family, options, looks_alone = RUNS[run]
    model: Model = tiny_model(family=family)
    controller, selections = CONTROLLERS[name]
    request = on_device(fake_request(model))
    with looks_counted() as looks:
        out = model.generate(inputs=request, controller=controller, **options)
    assert len(looks) == looks_alone + selections, looks
    assert out.trace.host_transfers == len(looks)
