"""Nothing outlives a call, and least of all one that failed."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared, StepView
from saccade.controller import (
    AfterShare,
    BasePolicy,
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
from saccade.pruners import FastV, Random, ScorePruner
from tests.tiny import fake_request, mixed_requests, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 8}


@pytest.fixture(scope="module")
def request_(model: Model) -> Prepared:
    return fake_request(model)


def logged(model: Model, **options: Any) -> tuple[Any, list[Tensor]]:
    """What generate returns, and the logits of every step."""
    seen: list[Tensor] = []
    out = model.generate(callback=lambda view: seen.append(view.logits.clone()), **options)
    return out, seen


class Broken(Exception):
    """Raised on purpose."""


@dataclass
class BrokenPolicy(BasePolicy):
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


def everything(model: Model) -> dict[str, Any]:
    """What a call could leave behind: attributes and hooks of every module, and the weights."""
    out: dict[str, Any] = {"model": dict(vars(model))}
    for name, module in model.network.named_modules():
        out[name] = {key: str(value) for key, value in vars(module).items()}
    return out


def fresh(model: Model, requests: list[Prepared]) -> tuple[list[Generation], list[Tensor]]:
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


def test_two_calls_do_not_leak_into_each_other(model: Model, request_: Prepared) -> None:
    controller = Controller(AfterShare(0.5, 0.5, layer=2), FastV())
    first, second = (
        logged(model, inputs=request_, controller=controller, **SHAPE) for _ in range(2)
    )
    assert [s.visual_per_layer for s in first[0].trace] == [
        s.visual_per_layer for s in second[0].trace
    ]
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_a_pruner_sees_copies(model: Model, request_: Prepared) -> None:
    class Vandal(ScorePruner):
        needs = frozenset({"features", "centers", "attention:all"})
        site = "layer"

        def score(self, view: VisualView) -> Tensor:
            scores = view.attention["all"].clone()
            for tensor in (view.features, view.centers, view.images, view.attention["all"]):
                tensor.zero_()
            return scores

    policy = AfterShare(0.5, 0.5, layer=2)
    _, wanted = logged(model, inputs=request_, controller=Controller(policy, FastV("all")), **SHAPE)
    _, seen = logged(model, inputs=request_, controller=Controller(policy, Vandal()), **SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(seen, wanted, strict=True))
    _, again = logged(model, inputs=request_, controller=Controller(policy, FastV("all")), **SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(again, wanted, strict=True))


def test_a_policy_that_spoils_its_signals_changes_no_answer(model: Model) -> None:
    """What it does with them reaches neither tokens nor what was computed."""

    class Vandal(BrokenPolicy):
        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            for field in fields(Signals) if signals is not None else ():
                value = getattr(signals, field.name)
                if isinstance(value, Tensor):
                    value.zero_()
            return Plan()

    requests = mixed_requests(model)
    wanted, _ = logged(model, inputs=requests, controller=Controller(Keep(), probe="all"), **SHAPE)
    given, _ = logged(model, inputs=requests, controller=Controller(Vandal(), probe="all"), **SHAPE)
    for one, other in zip(given, wanted, strict=True):
        assert one.tokens == other.tokens
        assert one.trace.macs == other.trace.macs
        assert [step.committed for step in one.trace] == [step.committed for step in other.trace]
