"""One tower for several threads, compiled or not, and inputs that outlive it."""

import copy
import dataclasses
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from saccade.backbones import Model, Prepared
from saccade.controller import AfterShare, CapabilityError, Controller, Generation, parse_pruner
from saccade.pruners import TRIM, ToMe
from tests.tiny import fake_page, tiny_model

METHODS = ["visionzip()", "prumerge()", "vispruner()", "tome()", "trim()", "divprune()", "fastv()"]
LENGTHS: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


def controller(method: str) -> Controller:
    layer = 1 if method == "fastv()" else 0
    return Controller(AfterShare(0.0, keep=0.5, layer=layer), parse_pruner(method))


def facts(out: Generation) -> tuple[object, ...]:
    return out.tokens, out.trace.prepare_macs, [step.kept for step in out.trace.steps]


@pytest.mark.parametrize("method", METHODS)
def test_threads_share_a_tower(method: str) -> None:
    model, own = tiny_model(), controller(method)

    def answer(seed: int) -> tuple[object, ...]:
        page = model.prepare_ids([1, -200, 2], [fake_page(seed=seed)], controller=own)
        return facts(model.generate(inputs=page, controller=own, **LENGTHS))

    alone = [answer(seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(answer, range(12))) == alone


@pytest.mark.parametrize("method", METHODS)
def test_threads_share_prepared_inputs(method: str) -> None:
    model, own = tiny_model(), controller(method)

    def answer(page: Prepared) -> tuple[object, ...]:
        return facts(model.generate(inputs=page, controller=own, **LENGTHS))

    first = model.prepare_ids([1, -200, 2], [fake_page()], controller=own)
    alone = {str(answer(first)), str(answer(first))}  # the pictures may have been encoded before
    second = model.prepare_ids([1, -200, 2], [fake_page()], controller=own)
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(answer, [second] * 12))
    assert {str(found[0]) for found in together} == {str(answer(first)[0])}
    assert {str(found) for found in together} <= alone


@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_tower(method: str) -> None:
    plain, model, own = tiny_model(), tiny_model(), controller(method)
    model.network.model.vision_tower.compile(backend="eager")
    pages = [m.prepare_ids([1, -200, 2], [fake_page()], controller=own) for m in (plain, model)]
    outs = [
        m.generate(inputs=page, controller=own, **LENGTHS)
        for m, page in zip((plain, model), pages, strict=True)
    ]
    assert facts(outs[0]) == facts(outs[1])


def test_looking_changes_nothing(model: Model) -> None:
    tower = model.network.model.vision_tower
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, q, k = tower.look(pixels)
        assert torch.equal(features, tower(pixels))
    assert q.shape == k.shape and not any(m._forward_hooks for m in tower.modules())


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("store", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_inputs_can_be_stored(method: str | None, store: Any) -> None:
    own = None if method is None else controller(method)
    for aspect in ("anyres_max_2", "pad"):
        model = tiny_model(aspect=aspect)
        page = model.prepare_ids([1, -200, 2, -200, 3], [fake_page(), fake_page(seed=1)])
        again = store(page)
        outs = [model.generate(inputs=x, controller=own, **LENGTHS) for x in (page, again)]
        assert outs[0].tokens == outs[1].tokens
        assert len(pickle.dumps(page)) < 400_000  # without the model


def test_inputs_do_not_keep_the_model_alive() -> None:
    model = tiny_model()
    pages = [
        model.prepare_ids([1, -200, 2], [fake_page()], controller=own)
        for own in (None, Controller(AfterShare(0.0, keep=0.5), ToMe()))
    ]
    gone = weakref.ref(model.network)
    del model
    gc.collect()
    assert gone() is None
    with pytest.raises(CapabilityError, match="these inputs know no model"):
        pages[1].whole()
    same = tiny_model()
    own = Controller(AfterShare(0.0, keep=0.5), TRIM())
    assert same.generate(inputs=pages[0], controller=own, **LENGTHS).tokens


def test_inputs_of_another_model_are_refused() -> None:
    page = tiny_model().prepare_ids([1, -200, 2], [fake_page()])
    other = tiny_model()
    other.network.to(torch.bfloat16)
    message = "32 float32 numbers a token on cpu and the model's are 32 bfloat16 numbers.*: prepare"
    with pytest.raises(ValueError, match=message):
        other.generate(inputs=page, **LENGTHS)
    wide = dataclasses.replace(page, embeds=torch.zeros(len(page), 33))
    with pytest.raises(ValueError, match="33 float32 numbers.*and the model's are 32"):
        tiny_model().generate(inputs=[page, wide], **LENGTHS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prepared_for", [None, *METHODS])
def test_no_call_is_cheaper_for_what_came_before_it(prepared_for: str | None, method: str) -> None:
    model = tiny_model()
    own = None if prepared_for is None else controller(prepared_for)

    def prepared() -> Any:
        return model.prepare_ids([1, -200, 2], [fake_page()], controller=own)

    def cost(page: Any, name: str | None) -> int:
        chosen = None if name is None else controller(name)
        return model.generate(inputs=page, controller=chosen, **LENGTHS).trace.prepare_macs

    page = prepared()
    for name in (method, *METHODS, None, method):
        assert cost(page, name) == cost(prepared(), name), name
