"""Watching changes nothing: tokens and logits are those of the bare model, bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared
from saccade.backbones.network.token_states import TokenStates
from saccade.controller import (
    AfterShare,
    Controller,
    Generation,
    Keep,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.execution.planned import same_signals
from tests.tiny import fake_request, mixed_requests

SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 8}
WATCHERS = {
    "keep, every layer probed": Controller(Keep(), probe="all"),
    "keep, one layer probed": Controller(Keep(), probe=frozenset({2})),
    "keep, a pruner idle": Controller(Keep(), DivPrune(), probe="needed"),
    "drops after the end": Controller(AfterShare(1.0, 0.25), DivPrune()),
    "drops nothing": Controller(AfterShare(0.0, 1.0), Random()),
    "drops nothing in a layer": Controller(AfterShare(0.5, 1.0, layer=2), FastV("all")),
    "drops nothing, not held": Controller(AfterShare(0.5, 1.0, layer=2, hold=False), FastV()),
}


@pytest.fixture(scope="module")
def request_(model: Model) -> Prepared:
    return fake_request(model)


def logged(model: Model, **options: Any) -> tuple[Any, list[Tensor]]:
    """What generate returns, and the logits of every step."""
    seen: list[Tensor] = []
    out = model.generate(callback=lambda view: seen.append(view.logits.clone()), **options)
    return out, seen


@pytest.mark.parametrize("name", WATCHERS)
@pytest.mark.parametrize("options", [{}, {"cfg_scale": 1.0}], ids=["plain", "guided"])
def test_identity_is_bitwise(
    name: str, options: dict[str, Any], model: Model, request_: Prepared
) -> None:
    bare, logits = logged(model, inputs=request_, **SHAPE, **options)
    own, seen = logged(model, inputs=request_, controller=WATCHERS[name], **SHAPE, **options)
    assert own.tokens == bare.tokens
    assert [step.tokens for step in own.trace] == [step.tokens for step in bare.trace]
    assert len(seen) == len(logits) == SHAPE["steps"]
    assert all(torch.equal(a, b) for a, b in zip(seen, logits, strict=True))
    assert own.trace.macs == bare.trace.macs
    assert own.trace.visual_tokens_ratio == bare.trace.visual_tokens_ratio == 1.0
    assert own.trace.host_transfers == bare.trace.host_transfers == SHAPE["steps"]


@pytest.mark.parametrize("name", WATCHERS)
def test_identity_is_bitwise_in_a_batch(name: str, model: Model) -> None:
    requests = mixed_requests(model)
    bare, logits = logged(model, inputs=requests, **SHAPE)
    own, seen = logged(model, inputs=requests, controller=WATCHERS[name], **SHAPE)
    assert [out.tokens for out in own] == [out.tokens for out in bare]
    assert all(torch.equal(a, b) for a, b in zip(seen, logits, strict=True))


def test_response_logits_are_rows_of_the_full_ones(model: Model) -> None:
    """In a padded batch, and with a suffix, only the response's rows reach the head."""
    requests, suffix = mixed_requests(model), [5, 6]
    _, seen = logged(model, inputs=requests, forbidden_ids=(), generation_suffix=suffix, **SHAPE)
    network, ids = model.network, torch.tensor([model.spec.mask_id] * 8 + suffix)
    with torch.inference_mode():
        for request, own in zip(requests, seen, strict=False):
            whole = torch.cat([request.embeds, network.model.embed_tokens(ids)])[None]
            full = network.logits(network.run(TokenStates.of(whole)).hidden)[0]
            torch.testing.assert_close(own, full[len(request) :], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["layer", "entry"])
def test_the_ways_to_attach_agree(name: str, model: Model) -> None:
    requests, layer = mixed_requests(model)[:3], {"layer": 2, "entry": 0}[name]
    pruner = FastV() if layer else DivPrune()
    controller = Controller(AfterShare(0.25, 0.4, layer), pruner)
    generate: Callable[..., list[Generation]] = model.generate
    bare = generate(inputs=requests, **SHAPE)
    given = generate(inputs=requests, controller=controller, **SHAPE)
    wrapped = controller.wrap(model.generate)(inputs=requests, **SHAPE)
    with controller(model) as same:
        attached = same.generate(inputs=requests, **SHAPE)
    assert [out.tokens for out in given] != [out.tokens for out in bare]
    for outs in (wrapped, attached):
        for out, wanted in zip(outs, given, strict=True):
            assert out.tokens == wanted.tokens
            for step, own in zip(out.trace, wanted.trace, strict=True):
                assert (step.kept, step.plan, step.tokens) == (own.kept, own.plan, own.tokens)
                assert same_signals(step.signals, own.signals)
    assert not any(
        step.plan.drops for out in generate(inputs=requests, **SHAPE) for step in out.trace
    )


@pytest.mark.parametrize(
    "wrong", ["x", AfterShare(0.5, 0.5), DivPrune(), Controller, False], ids=repr
)
def test_only_a_controller_can_be_given(wrong: Any, model: Model, request_: Prepared) -> None:
    with pytest.raises(TypeError, match=r"controller=.*; give a Controller\(policy, pruner\)"):
        model.generate(inputs=request_, controller=wrong, **SHAPE)
    with pytest.raises(TypeError, match="callback=3; give a function"):
        model.generate(inputs=request_, callback=3, **SHAPE)  # type: ignore[call-overload]


def test_a_real_drop_is_no_identity(model: Model, request_: Prepared) -> None:
    _, logits = logged(model, inputs=request_, **SHAPE)
    controller = Controller(AfterShare(0.5, 0.5), DivPrune())
    _, seen = logged(model, inputs=request_, controller=controller, **SHAPE)
    same = [torch.equal(a, b) for a, b in zip(seen, logits, strict=True)]
    assert same[:4] == [True] * 4 and not any(same[4:])


def test_signals_are_only_measured_where_asked(model: Model, request_: Prepared) -> None:
    def masses(probe: Any) -> Tensor | None:
        out = model.generate(inputs=request_, controller=Controller(Keep(), probe=probe), **SHAPE)
        return out.trace.steps[0].signals.attention_visual

    one = masses(frozenset({2}))
    assert one is not None and one.isnan().tolist() == [True, True, False, True]
    full = masses("all")
    assert full is not None and not full.isnan().any()
    assert full[2] == one[2]
    assert masses("needed") is None
