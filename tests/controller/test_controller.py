"""Attaching, detaching and refusing; the session's checks of plans and selections."""

import dataclasses
import threading
from dataclasses import dataclass
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from saccade.controller import (
    AfterShare,
    BackboneSpec,
    CapabilityError,
    CommitRule,
    Controller,
    Drop,
    Geometry,
    Keep,
    Plan,
    PlanError,
    SaccadeError,
    Selection,
    Session,
    Signals,
    StepState,
    VisualView,
)
from saccade.controller.protocols import Site
from saccade.pruners import DivPrune, FastV, Random

SPEC = BackboneSpec(
    name="toy",
    origin="from-scratch",
    geometry=Geometry(4, 32, 48, 4, 4, 64),
    mask_id=63,
    forbidden_ids=(),
    logit_shift=False,
    can=frozenset({"drop", "features", "confidence", "site:entry"}),
)
STATE = StepState(0, 4, 0, 1, 8, 0)


class Toy:
    """As much of a model as a controller needs."""

    def __init__(self, spec: BackboneSpec = SPEC) -> None:
        self.controller: Controller | None = None
        self.spec = spec

    def generate(self, prompt: str, controller: Controller | None = None, **options: Any) -> Any:
        """Answer."""
        return prompt, controller or self.controller, options

    def prepare(self, prompt: str) -> str:
        return prompt


@dataclass
class Scripted:
    """Plans what it is told to, and counts."""

    plans: list[Any]
    reads: frozenset[str] = frozenset()
    asked: int = 0
    resets: int = 0

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        self.asked += 1
        plan = self.plans[self.asked - 1]
        assert plan is not None
        return plan  # type: ignore[no-any-return]

    def reset(self) -> None:
        self.resets += 1


@dataclass
class Needing:
    """A pruner that needs one thing, and keeps the first."""

    name: str
    site: Site = "entry"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.name})

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n))


def view_of(n: int) -> VisualView:
    return VisualView(torch.eye(n), torch.zeros(n, 2), torch.zeros(n, dtype=torch.int64))


def session(policy: Any, pruner: Any = None, n: int = 1, spec: BackboneSpec = SPEC) -> Session:
    return Controller(policy, pruner, probe=frozenset()).session(spec, n)


# --- attaching --------------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="has its controller, Controller.Keep.*: give no other"):
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
    with pytest.raises(TypeError, match="is attached to a Saccade model, not to"):
        Controller()(wrong)


@pytest.mark.parametrize(
    "wrong",
    [print, Toy, Toy.generate, Toy().prepare, lambda: None, SimpleNamespace(spec=1).__repr__]
    + [Controller().wrap(Toy().generate)],
)
def test_only_a_models_generate_can_be_wrapped(wrong: Any) -> None:
    with pytest.raises(TypeError, match="wrap.. takes the generate method of a Saccade model"):
        Controller().wrap(wrong)


@pytest.mark.parametrize(
    ("policy", "pruner", "words"),
    [
        (
            Scripted([], frozenset({"attention", "confidence"})),
            None,
            ("Scripted", "attention", "confidence"),
        ),
        (Scripted([], frozenset({"drop"})), None, ("Scripted", "drop", "confidence")),
        (Scripted([], frozenset({"features"})), None, ("Scripted", "features", "confidence")),
        (Keep(), FastV(), ("FastV", "attention:response, site:layer", "features, site:entry")),
        (Keep(), Needing("confidence"), ("Needing", "confidence", "features, site:entry")),
    ],
    ids=["policy", "action", "view", "pruner", "signal"],
)
def test_a_missing_capability_names_both_sides(
    policy: Any, pruner: Any, words: tuple[str, ...]
) -> None:
    model, controller = Toy(), Controller(policy, pruner)
    message = f"{words[0]} needs {words[1]}; toy does not offer that .it offers {words[2]}."
    with pytest.raises(CapabilityError, match=message), controller(model):
        pytest.fail("attached")
    assert model.controller is None
    with pytest.raises(CapabilityError, match=message):
        controller.wrap(model.generate)
    with pytest.raises(CapabilityError, match=message):
        controller.session(SPEC, 1)


def test_everything_offered_is_accepted() -> None:
    able = dataclasses.replace(SPEC, can=SPEC.can | {"attention", "attention:all", "site:layer"})
    policy = Scripted([], frozenset({"attention", "confidence"}))
    Controller(policy, FastV("all")).check(able)
    with pytest.raises(CapabilityError, match="FastV needs attention:all:logits"):
        Controller(policy, FastV("all", "logits")).check(able)
    logits = dataclasses.replace(able, can=able.can | {"attention:all:logits"})
    Controller(policy, FastV("all", "logits")).check(logits)
    Controller(AfterShare(0.5, 0.5), DivPrune()).check(SPEC)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "3 is no policy: it needs reads"),
        ((Keep,), TypeError, r"Keep is a class, no policy: build one, Keep\(...\)"),
        ((AfterShare,), TypeError, "AfterShare is a class, no policy"),
        ((None, DivPrune), TypeError, r"DivPrune is a class, no pruner: build one, DivPrune\("),
        ((None, FastV), TypeError, "FastV is a class, no pruner"),
        ((Scripted([], "attention"),), TypeError, "reads='attention'; it must be a frozenset"),
        ((Scripted([], frozenset({1})),), TypeError, "reads=frozenset.* of names"),
        ((None, SimpleNamespace(needs=["a"], site="entry", select=print)), TypeError, "needs=.'a'"),
        ((DivPrune(),), TypeError, "is no policy"),
        ((None, Keep()), TypeError, "is no pruner: it needs needs"),
        ((None, None, "some"), ValueError, "probe='some'; allowed: 'all', 'needed'"),
        ((None, None, {1}), ValueError, "a frozenset of layers"),
        ((None, None, frozenset({"a", 9})), ValueError, "a layer to probe='a': must be a whole"),
        ((None, None, frozenset({1.5})), ValueError, "a layer to probe=1.5: must be a whole"),
    ],
)
def test_wrong_parts(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Controller(*arguments)


def test_probed_layers() -> None:
    reader = Scripted([], frozenset({"attention"}))
    able = dataclasses.replace(SPEC, can=SPEC.can | {"attention"})
    every, some = frozenset(range(4)), frozenset({1, 3})
    assert Controller().session(able, 1).probe == every
    assert Controller(probe="needed").session(able, 1).probe == frozenset()
    assert Controller(reader, probe="needed").session(able, 1).probe == every
    assert Controller(reader, probe=some).session(able, 1).probe == some
    assert Controller().session(SPEC, 1).probe == frozenset(), "it cannot be measured"


@pytest.mark.parametrize(
    ("policy", "probe", "error", "message"),
    [
        (Keep(), {1, 4, 9}, ValueError, r"probe names layers \[4, 9\]; toy has 4"),
        (Keep(), {2}, CapabilityError, "probe asks for attention; toy does not offer that"),
        (Scripted([], frozenset({"attention"})), (), ValueError, "reads attention, but probe nam"),
    ],
)
def test_probes_are_checked_when_attached(
    policy: Any, probe: Any, error: type[Exception], message: str
) -> None:
    can = SPEC.can if error is CapabilityError else SPEC.can | {"attention"}
    model = Toy(dataclasses.replace(SPEC, can=can))
    controller = Controller(policy, probe=frozenset(probe))
    for attach in (controller, lambda m: controller.wrap(m.generate)):
        with pytest.raises(error, match=message):
            attach(model)


LAYERED = dataclasses.replace(
    SPEC, can=SPEC.can | {"attention", "attention:response", "site:layer"}
)


@pytest.mark.parametrize(
    ("policy", "pruner", "message"),
    [
        (AfterShare(0.5, 0.5), None, "the controller has no pruner"),
        (AfterShare(0.5, 0.5, layer=4), DivPrune(), "toy has 4 layers, 0 to 3"),
        (AfterShare(0.5, 0.0, layer=99), None, "toy has 4 layers, 0 to 3"),
        (AfterShare(0.5, 0.5), FastV(), r"FastV\(.*before layer 0.*layer 1 or later"),
    ],
)
def test_announced_drops_are_checked_when_attached(policy: Any, pruner: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Controller(policy, pruner)(Toy(LAYERED))
    unable = dataclasses.replace(LAYERED, can=LAYERED.can - {"drop"})
    with pytest.raises(CapabilityError, match="the plan asks for drop; toy cannot"):
        Controller(AfterShare(0.5, 0.5), Random()).check(unable)


@pytest.mark.parametrize(
    ("policy", "pruner"),
    [
        (AfterShare(0.5, 0.0), None),
        (AfterShare(0.5, 1.0), None),
        (AfterShare(1.0, 0.5), None),
        (AfterShare(0.5, 0.0), FastV()),
        (AfterShare(0.5, 0.5, layer=1), FastV()),
        (Scripted([Plan((Drop(99, 0.5),))]), None),
    ],
)
def test_what_asks_no_pruner_or_announces_nothing_is_attached(policy: Any, pruner: Any) -> None:
    with Controller(policy, pruner)(Toy(LAYERED)) as model:
        assert model.controller is not None


def test_repr_is_a_recipe() -> None:
    controller = Controller(AfterShare(0.5, 0.25), FastV("all"), probe=frozenset({2}))
    names = {each.__name__: each for each in (Controller, AfterShare, FastV, frozenset)}
    again = eval(repr(controller), names)
    assert repr(again) == repr(controller) and again.probe == controller.probe
    assert (again.policy, again.pruner) == (controller.policy, controller.pruner)


# --- sessions ---------------------------------------------------------------------------------


def test_every_sequence_has_a_policy_of_its_own() -> None:
    policy = AfterShare(0.0, 0.5, layer=2)
    own = session(policy, Random(), n=2)
    first, held = Plan((Drop(2, 0.5),)), Plan((Drop(0, 0.5),))
    assert [own.plan(0, STATE), own.plan(0, STATE)] == [first, held]
    assert own.plan(1, STATE) == first
    assert policy.plan(STATE, None) == first, "the controller's own was never asked"


def test_policies_begin_reset_and_see_the_signals_of_their_sequence() -> None:
    class Reader(Scripted):
        def plan(self, state: StepState, signals: Signals | None) -> Plan:
            if signals is None:
                return Plan()
            masked = signals.masked
            assert masked is not None
            seen = bool(masked.all())
            masked.zero_()
            return Plan(refresh=seen)

    shown = Signals(masked=torch.ones(3, dtype=torch.bool))
    spec = dataclasses.replace(SPEC, can=SPEC.can | {"refresh"})
    policy = Reader([])
    own = session(policy, n=2, spec=spec)
    assert policy.resets == 0
    for each in own._policies:
        assert isinstance(each, Reader) and each.resets == 1
    assert own.plan(0, STATE) == Plan()
    own.observe(0, shown)
    assert own.plan(0, STATE).refresh and own.plan(1, STATE) == Plan()
    assert shown.masked is not None and bool(shown.masked.all()), "it was given a copy"


def test_a_policy_that_cannot_be_copied_is_named() -> None:
    policy = Scripted([threading.Lock()])
    with pytest.raises(TypeError, match=r"Scripted\(.* cannot be copied .*a policy of its own"):
        session(policy)


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (Plan(bypass=frozenset({1})), "bypass"),
        (Plan(refresh=True), "refresh"),
        (Plan(commit=CommitRule("threshold", 0.9)), "commit"),
    ],
)
def test_a_plan_beyond_the_backbones_means(plan: Plan, word: str) -> None:
    with pytest.raises(CapabilityError, match=f"the plan asks for {word}; toy cannot"):
        session(Scripted([plan])).plan(0, STATE)
    able = dataclasses.replace(SPEC, can=SPEC.can | {word})
    assert session(Scripted([plan]), spec=able).plan(0, STATE) == plan


@pytest.mark.parametrize(
    ("plan", "message"),
    [(Plan((Drop(4, 0.5),)), "toy has 4 layers"), ("drop", "the policy returned 'drop'")],
)
def test_a_plan_that_cannot_be_carried_out(plan: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        session(Scripted([plan])).plan(0, STATE)


def test_selections_are_remembered_by_count_until_asked_again() -> None:
    own = session(Scripted([Plan(), Plan(reselect=True), Plan()]), Random(), n=2)
    own.plan(0, STATE)
    assert own.remembered(0, 3) is None
    kept = own.select(0, view_of(8), 3)
    assert own.remembered(0, 3) is kept and own.remembered(0, 4) is None
    assert own.remembered(1, 3) is None
    own.plan(0, STATE)
    assert own.remembered(0, 3) is None


def test_selections_count_among_all_tokens() -> None:
    present = torch.tensor([1, 4, 6, 7, 9])
    own = session(Keep(), Random())
    among = Random().select(view_of(5), 2).keep
    assert torch.equal(own.select(0, view_of(5), 2, present).keep, present[among])


def test_wrong_selections_are_refused() -> None:
    class Wrong:
        needs, site = frozenset[str](), "entry"

        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def select(self, view: VisualView, n: int) -> Any:
            return self.answer

    with pytest.raises(PlanError, match="Wrong kept 1 tokens; asked for 2"):
        session(Keep(), Wrong(Selection(torch.tensor([1])))).select(0, view_of(4), 2)
    with pytest.raises(PlanError, match="Wrong returned .* must return a Selection"):
        session(Keep(), Wrong([0, 1])).select(0, view_of(4), 2)
    with pytest.raises(PlanError, match=r"Wrong returned Selection.* that holds a tensor"):
        session(Keep(), Wrong(Selection([0, 1]))).select(0, view_of(4), 2)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="the controller has no pruner"):
        session(Keep()).select(0, view_of(4), 2)
