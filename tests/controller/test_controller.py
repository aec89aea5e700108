"""Attaching, wrapping, leaving: what a controller does to a model."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from saccade.controller import (
    AfterShare,
    Controller,
    Keep,
    PlanError,
    SaccadeError,
    parse_policy,
)
from saccade.pruners import FastV, Random
from tests.controller.toys import SPEC, Toy


def test_attached_for_the_block_only() -> None:
    model, controller = Toy(), Controller()
    with controller(model) as same:
        assert same is model and model.generate("?") == ("?", controller, {})
    assert model.controller is None


def test_nested_blocks_and_exceptions_restore_what_was_before() -> None:
    model, outer, inner = Toy(), Controller(), Controller(AfterShare(0.5, 0.5), Random())
    with pytest.raises(ZeroDivisionError), outer(model):
        with pytest.raises(KeyError), inner(model):
            assert model.controller is inner
            raise KeyError
        assert model.controller is outer
        with outer(model):
            assert model.controller is outer
        assert model.controller is outer
        raise ZeroDivisionError
    assert model.controller is None


def test_wrapped_generate() -> None:
    model, controller = Toy(), Controller()
    generate = controller.wrap(model.generate)
    assert generate("?", steps=4) == ("?", controller, {"steps": 4})
    assert model.controller is None
    with Controller()(model):
        assert generate("?")[1] is controller
    assert (generate.__name__, generate.__doc__) == ("generate", "Answer.")
    with pytest.raises(TypeError, match="has its controller, Controller.*auto.*: give no other"):
        generate("?", controller=Controller())


def exits_in_order(order: str) -> tuple[Toy, list[str]]:
    """Blocks of controllers "abc" begun in this order and ended in that of `order`."""
    model = Toy()
    blocks = {name: Controller()(model) for name in sorted(order)}
    for block in blocks.values():
        block.__enter__()
    failed = []
    for name in order:
        try:
            blocks[name].__exit__(None, None, None)
        except SaccadeError as error:
            assert "left out of order" in str(error) and "pass controller= to gen" in str(error)
            failed.append(name)
    return model, failed


@pytest.mark.parametrize("order", ["".join(each) for each in permutations("abc")])
def test_blocks_left_in_any_order_leave_nothing_attached(order: str) -> None:
    model, failed = exits_in_order(order)
    assert model.controller is None
    assert (failed == []) == (order == "cba")


def test_a_block_that_failed_tells_why_and_not_that_it_overlapped() -> None:
    model, first, second = Toy(), Controller(), Controller()
    blocks = [first(model), second(model)]
    for block in blocks:
        block.__enter__()
    error = KeyError()
    assert not blocks[0].__exit__(KeyError, error, None)
    assert model.controller is None


@pytest.mark.parametrize("wrong", [3, None, Toy, Toy().generate, SimpleNamespace(spec=SPEC)])
def test_only_a_model_can_be_controlled(wrong: Any) -> None:
    message = rf"a Saccade model, not to a {type(wrong).__name__}; .*saccade.wrap\(model\)"
    with pytest.raises(TypeError, match=message):
        Controller()(wrong)


@pytest.mark.parametrize(
    "wrong",
    [print, Toy, Toy.generate, Toy().prepare, lambda: None, SimpleNamespace(spec=1).__repr__]
    + [Controller().wrap(Toy().generate)],
)
def test_only_a_models_generate_can_be_wrapped(wrong: Any) -> None:
    with pytest.raises(TypeError, match="wrap.. takes the generate method of a Saccade model"):
        Controller().wrap(wrong)


def test_repr_is_a_recipe() -> None:
    controller = Controller(AfterShare(0.5, 0.25), FastV("all"), probe=frozenset({2}))
    again = eval(repr(controller), {"Controller": Controller, "frozenset": frozenset})
    assert repr(again) == repr(controller) and again.probe == controller.probe
    assert (again.policy, again.pruner) == (controller.policy, controller.pruner)


@pytest.mark.parametrize("text", ["none", " None ", "none()"])
def test_none_is_the_bare_model(text: str) -> None:
    assert Controller(text, text).policy == Keep() == parse_policy(text)
    assert Controller(text, text).pruner is None


def test_texts_make_both_parts() -> None:
    controller = Controller("after_share(0.5, keep=0.25)", "divprune")
    assert repr(controller.policy) == repr(AfterShare(0.5, keep=0.25))
    assert repr(controller.pruner) == "divprune()"


def test_a_policy_that_drops_asks_for_a_pruner() -> None:
    with pytest.raises(PlanError, match=r"give one: Controller\(policy, 'divprune'\)"):
        Controller("after_share(0.5, keep=0.25)").check(SPEC)
