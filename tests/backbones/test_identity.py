"""Watching changes nothing, every forward is counted, and nothing outlives a call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import DiffusionModel, Prepared, StepView
from saccade.backbones.rows import Rows
from saccade.controller import (
    AfterShare,
    Controller,
    Drop,
    Generation,
    Keep,
    Plan,
    Selection,
    Signals,
    StepState,
    VisualView,
)
from saccade.controller.protocols import Site
from saccade.pruners import DivPrune, FastV, Random, ScorePruner
from tests.backbones.on_device import OnDevice, looks_counted, on_device
from tests.tiny import fake_request, mixed_requests, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 8}
WATCHERS = {
    "keep, every layer probed": Controller(Keep()),
    "keep, one layer probed": Controller(Keep(), probe=frozenset({2})),
    "keep, a pruner idle": Controller(Keep(), DivPrune(), probe="needed"),
    "drops after the end": Controller(AfterShare(1.0, 0.25), DivPrune()),
    "drops nothing": Controller(AfterShare(0.0, 1.0), Random()),
    "drops nothing in a layer": Controller(AfterShare(0.5, 1.0, layer=2), FastV("all")),
    "drops nothing, not held": Controller(AfterShare(0.5, 1.0, layer=2, hold=False), FastV()),
}


@pytest.fixture(scope="module")
def request_(model: DiffusionModel) -> Prepared:
    return fake_request(model)


def logged(model: DiffusionModel, **options: Any) -> tuple[Any, list[Tensor]]:
    """What generate returns, and the logits of every step."""
    seen: list[Tensor] = []
    out = model.generate(callback=lambda view: seen.append(view.logits.clone()), **options)
    return out, seen


@pytest.mark.parametrize("name", WATCHERS)
@pytest.mark.parametrize("options", [{}, {"cfg_scale": 1.0}], ids=["plain", "guided"])
def test_identity_is_bitwise(
    name: str, options: dict[str, Any], model: DiffusionModel, request_: Prepared
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
def test_identity_is_bitwise_in_a_batch(name: str, model: DiffusionModel) -> None:
    requests = mixed_requests(model)
    bare, logits = logged(model, inputs=requests, **SHAPE)
    own, seen = logged(model, inputs=requests, controller=WATCHERS[name], **SHAPE)
    assert [out.tokens for out in own] == [out.tokens for out in bare]
    assert all(torch.equal(a, b) for a, b in zip(seen, logits, strict=True))


def test_response_logits_are_rows_of_the_full_ones(model: DiffusionModel) -> None:
    """In a padded batch, and with a suffix, only the response's rows reach the head."""
    requests, suffix = mixed_requests(model), [5, 6]
    _, seen = logged(model, inputs=requests, forbidden_ids=(), generation_suffix=suffix, **SHAPE)
    network, ids = model.network, torch.tensor([model.spec.mask_id] * 8 + suffix)
    with torch.inference_mode():
        for request, own in zip(requests, seen, strict=False):
            whole = torch.cat([request.embeds, network.model.embed_tokens(ids)])[None]
            full = network.logits(network.run(Rows.of(whole)).hidden)[0]
            torch.testing.assert_close(own, full[len(request) :], atol=1e-5, rtol=1e-5)


def same_signals(a: Signals, b: Signals) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Signals)]
    return all(torch.equal(x.nan_to_num(-1), y.nan_to_num(-1)) for x, y in pairs)


def test_a_policy_gets_signals_of_its_own(model: DiffusionModel) -> None:
    """What it does with them is seen neither by the trace nor by other sequences."""

    class Vandal(BrokenPolicy):
        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            for field in fields(Signals) if signals is not None else ():
                getattr(signals, field.name).zero_()
            return Plan()

    requests = mixed_requests(model)
    wanted, _ = logged(model, inputs=requests, controller=Controller(), **SHAPE)
    given, _ = logged(model, inputs=requests, controller=Controller(Vandal()), **SHAPE)
    for one, other in zip(given, wanted, strict=True):
        assert one.tokens == other.tokens
        for step, own in zip(one.trace, other.trace, strict=True):
            assert same_signals(step.signals, own.signals)


@pytest.mark.parametrize("name", ["layer", "entry"])
def test_the_ways_to_attach_agree(name: str, model: DiffusionModel) -> None:
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
def test_only_a_controller_can_be_given(
    wrong: Any, model: DiffusionModel, request_: Prepared
) -> None:
    with pytest.raises(TypeError, match=r"controller=.*; give a Controller\(policy, pruner\)"):
        model.generate(inputs=request_, controller=wrong, **SHAPE)
    with pytest.raises(TypeError, match="callback=3; give a function"):
        model.generate(inputs=request_, callback=3, **SHAPE)  # type: ignore[call-overload]


def test_a_real_drop_is_no_identity(model: DiffusionModel, request_: Prepared) -> None:
    _, logits = logged(model, inputs=request_, **SHAPE)
    controller = Controller(AfterShare(0.5, 0.5), DivPrune())
    _, seen = logged(model, inputs=request_, controller=controller, **SHAPE)
    same = [torch.equal(a, b) for a, b in zip(seen, logits, strict=True)]
    assert same[:4] == [True] * 4 and not any(same[4:])


def test_signals_are_only_measured_where_asked(model: DiffusionModel, request_: Prepared) -> None:
    def masses(probe: Any) -> Tensor | None:
        out = model.generate(inputs=request_, controller=Controller(probe=probe), **SHAPE)
        return out.trace.steps[0].signals.attention_visual

    one = masses(frozenset({2}))
    assert one is not None and one.isnan().tolist() == [True, True, False, True]
    full = masses("all")
    assert full is not None and not full.isnan().any()
    assert full[2] == one[2]
    assert masses("needed") is None


# --- counting ---------------------------------------------------------------------------------


@contextmanager
def counted_layers(model: DiffusionModel) -> Iterator[list[tuple[int, ...]]]:
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
    [None, Controller(), Controller(AfterShare(0.25, 0.4, layer=2, hold=False), FastV())],
    ids=["bare", "keep", "fastv"],
)
def test_one_forward_a_step(
    controller: Controller | None,
    options: dict[str, Any],
    model: DiffusionModel,
    request_: Prepared,
) -> None:
    with counted_layers(model) as calls:
        out = model.generate(inputs=request_, controller=controller, **SHAPE, **options)
    assert len(calls) == 2 * out.trace.forwards == 2 * len(out.trace) == 2 * SHAPE["steps"]
    rows = [(step.rows_per_layer[0], step.rows_per_layer[-1]) for step in out.trace]
    copies = 2 if options else 1
    assert calls == [(copies, n, 32) for pair in rows for n in pair]
    assert [step.state.step for step in out.trace] == list(range(SHAPE["steps"]))


def test_a_batch_shares_its_forwards(model: DiffusionModel) -> None:
    with counted_layers(model) as calls:
        outs = model.generate(inputs=mixed_requests(model), controller=Controller(), **SHAPE)
    longest = max(out.trace.forwards for out in outs)
    assert len(calls) == 2 * longest
    for step in range(longest):
        alive = [out.trace.steps[step] for out in outs if out.trace.forwards > step]
        assert {record.batch for record in alive} == {len(alive)} == {calls[2 * step][0]}


TRANSFERS: dict[str, tuple[Controller | None, int]] = {
    "bare": (None, 0),
    "keep": (Controller(), 0),
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
    name: str, options: dict[str, Any], model: DiffusionModel, request_: Prepared
) -> None:
    controller, selections = TRANSFERS[name]
    with looks_counted() as looks:
        out = model.generate(
            inputs=on_device(request_), controller=controller, seed=0, **options, **SHAPE
        )
    assert looks == ["cpu"] * (SHAPE["steps"] + selections)
    assert out.trace.host_transfers == len(looks)


@pytest.mark.parametrize("name", TRANSFERS)
def test_a_batch_shares_its_transfers(name: str, model: DiffusionModel) -> None:
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


# --- failures leave nothing behind ------------------------------------------------------------


class Broken(Exception):
    """Raised on purpose."""


@dataclass
class BrokenPolicy:
    """Works for some steps, then raises."""

    reads = frozenset[str]()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        if state.step == 3:
            raise Broken
        return Plan((Drop(0, 0.5),))

    def reset(self) -> None: ...


class BrokenPruner(ScorePruner):
    """Raises when asked."""

    def score(self, view: VisualView) -> Tensor:
        raise Broken


class WrongPruner:
    """Gives more than it was asked for."""

    needs = frozenset[str]()
    site: Site = "entry"

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n + 1))


def broken_callback(view: StepView) -> None:
    if view.step == 3:
        raise Broken


FAILURES: dict[str, tuple[Controller | None, Callable[[StepView], None] | None]] = {
    "policy": (Controller(BrokenPolicy(), Random()), None),
    "pruner": (Controller(AfterShare(0.5, 0.5), BrokenPruner()), None),
    "selection": (Controller(AfterShare(0.5, 0.5), WrongPruner()), None),
    "callback": (Controller(AfterShare(0.25, 0.5), Random()), broken_callback),
    "callback, bare": (None, broken_callback),
}


def everything(model: DiffusionModel) -> dict[str, Any]:
    """What a call could leave behind: attributes and hooks of every module, and the weights."""
    out: dict[str, Any] = {"model": dict(vars(model))}
    for name, module in model.network.named_modules():
        out[name] = {key: str(value) for key, value in vars(module).items()}
    return out


def fresh(model: DiffusionModel, requests: list[Prepared]) -> tuple[list[Generation], list[Tensor]]:
    controller = Controller(AfterShare(0.5, 0.5, layer=2), FastV())
    return logged(model, inputs=requests, controller=controller, **SHAPE)


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_leaves_the_model_as_it_was(name: str, attached: bool) -> None:
    model = tiny_model()
    requests, before = mixed_requests(model)[:3], everything(model)
    wanted, logits = fresh(model, requests)
    controller, callback = FAILURES[name]
    with pytest.raises((Broken, ValueError)) as caught:
        if attached and controller is not None:
            with controller(model):
                model.generate(inputs=requests, callback=callback, **SHAPE)
        else:
            model.generate(inputs=requests, controller=controller, callback=callback, **SHAPE)
    assert isinstance(caught.value, Broken) or "kept" in str(caught.value)
    assert model.controller is None and everything(model) == before
    again, seen = fresh(model, requests)
    assert [out.tokens for out in again] == [out.tokens for out in wanted]
    assert all(torch.equal(a, b) for a, b in zip(seen, logits, strict=True))


def test_two_calls_do_not_leak_into_each_other(model: DiffusionModel, request_: Prepared) -> None:
    controller = Controller(AfterShare(0.5, 0.5, layer=2), FastV())
    first, second = (
        logged(model, inputs=request_, controller=controller, **SHAPE) for _ in range(2)
    )
    assert [s.visual_per_layer for s in first[0].trace] == [
        s.visual_per_layer for s in second[0].trace
    ]
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_a_pruner_sees_copies(model: DiffusionModel, request_: Prepared) -> None:
    class Vandal(ScorePruner):
        needs = frozenset({"features", "centres", "attention:all"})
        site = "layer"

        def score(self, view: VisualView) -> Tensor:
            scores = view.attention["all"].clone()
            for tensor in (view.features, view.centres, view.images, view.attention["all"]):
                tensor.zero_()
            return scores

    policy = AfterShare(0.5, 0.5, layer=2)
    _, wanted = logged(model, inputs=request_, controller=Controller(policy, FastV("all")), **SHAPE)
    _, seen = logged(model, inputs=request_, controller=Controller(policy, Vandal()), **SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(seen, wanted, strict=True))
    _, again = logged(model, inputs=request_, controller=Controller(policy, FastV("all")), **SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(again, wanted, strict=True))
