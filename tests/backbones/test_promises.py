"""A preset's controller warns once where it is used on other terms, and never else."""

import copy
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.controller import Controller
from saccade.controller.preset import Backbone
from saccade.controller.promise import Promise
from tests.controller.presets import made
from tests.tiny import fake_request, tiny_model

MODEL = tiny_model()
SETTINGS: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


def controller(**changes: Any) -> Controller:
    backbone = Backbone(name="tiny", hash=fingerprint(MODEL.network), dtype="float32")
    fields = {"policy": "none", "backbone": backbone, "generation": SETTINGS} | changes
    return Controller.from_preset(made(**fields))


def warned(
    caplog: pytest.LogCaptureFixture, own: Controller, model: Any = MODEL, **more: Any
) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "saccade"):
        model.generate(inputs=fake_request(model, [(40, 30)]), controller=own, **(SETTINGS | more))
    return [record.message for record in caplog.records]


def test_on_its_own_terms_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    own = controller()
    assert warned(caplog, own) == []
    assert warned(caplog, own, seed=3) == []
    with caplog.at_level(logging.WARNING, "saccade"), own(MODEL):
        MODEL.generate(inputs=fake_request(MODEL, [(40, 30)]), **SETTINGS)
    assert caplog.records == []


@pytest.mark.parametrize(
    "other",
    [
        {"gen_length": 8, "block_length": 8},
        {"steps": 4},
        {"temperature": 0.5, "seed": 1},
        {"remasking": "random", "seed": 1},
        {"stopping_criteria": [[1, 2]]},
        {"prefix_refresh_interval": 2},
    ],
)
def test_other_settings_are_told_once(
    caplog: pytest.LogCaptureFixture, other: dict[str, Any]
) -> None:
    own = controller()
    (said,) = warned(caplog, own, **other)
    name = next(key for key in other if key != "seed")
    assert f"{name}=" in said and "'mine'" in said and "do not hold" in said
    assert warned(caplog, own, **other) == [] and warned(caplog, own, steps=1) == []


def test_other_weights_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    own, other = controller(), tiny_model(seed=1)
    (said,) = warned(caplog, own, other)
    assert "another backbone than tiny" in said and "generation settings" not in said
    assert warned(caplog, own, other) == []


def test_another_dtype_is_another_backbone(caplog: pytest.LogCaptureFixture) -> None:
    half = copy.deepcopy(MODEL)
    half.network.bfloat16()
    (said,) = warned(caplog, controller(), half)
    assert "in bfloat16, not in float32" in said


def test_settings_that_the_family_does_not_have_are_told(caplog: pytest.LogCaptureFixture) -> None:
    (said,) = warned(caplog, controller(generation={"prefix_lm": True}))
    assert "other generation settings" in said and "prefix_lm" in said


def test_a_preset_without_settings_is_for_all(caplog: pytest.LogCaptureFixture) -> None:
    assert warned(caplog, controller(generation={}), gen_length=2, block_length=2) == []


def test_the_weights_are_hashed_once(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from saccade.backbones.checkpoints import fingerprint as module

    calls = []

    def counted(network: Any) -> str:
        calls.append(network)
        return fingerprint(network)

    monkeypatch.setattr(module, "fingerprint", counted)
    model = copy.deepcopy(MODEL)
    for own in (controller(), controller(generation={})):
        for _ in range(3):
            assert warned(caplog, own, model) == []
    assert len(calls) == 1
    with torch.no_grad():
        next(model.network.parameters()).mul_(2)
    (said,) = warned(caplog, controller(), model)
    assert len(calls) == 2 and "another backbone" in said


def test_controllers_made_in_a_loop_say_it_once(caplog: pytest.LogCaptureFixture) -> None:
    model = copy.deepcopy(MODEL)
    said = [warned(caplog, controller(), model, steps=4) for _ in range(3)]
    assert [len(one) for one in said] == [1, 0, 0]
    assert len(warned(caplog, controller(), model, steps=1)) == 1  # otherwise other
    assert len(warned(caplog, controller(), copy.deepcopy(MODEL), steps=4)) == 1


def test_threads_say_it_once(caplog: pytest.LogCaptureFixture) -> None:
    own, network, n = controller().promise, torch.nn.Linear(1, 1), 8
    assert own is not None
    gate = threading.Barrier(n)

    def call(_: int) -> None:
        gate.wait()
        own.tell(["another backbone"], network)

    with caplog.at_level(logging.WARNING, "saccade"), ThreadPoolExecutor(n) as pool:
        list(pool.map(call, range(n)))
    assert len(caplog.records) == 1


def test_a_controller_of_a_preset_can_be_copied_and_pickled() -> None:
    own = controller()
    for other in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert isinstance(other.promise, Promise)
        assert other.promise.preset == own.promise.preset  # type: ignore[union-attr]


def test_a_plain_controller_promises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert warned(caplog, Controller("none"), gen_length=2, block_length=2) == []
