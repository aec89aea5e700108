"""What is checked before a forward is paid for."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from saccade.controller import (
    Abstain,
    AfterShare,
    Auto,
    CapabilityError,
    Compose,
    ConfidentCommits,
    Controller,
    Drop,
    EveryNSteps,
    Keep,
    LayerSkip,
    Plan,
    PlanError,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.controller.toys import LAYERED, SPEC, Needing, Scripted, Toy


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
        ((3,), TypeError, "3 is not a policy: it inherits from saccade.BasePolicy"),
        ((Keep,), TypeError, r"Keep is a class, not a policy: build one, Keep\(...\)"),
        ((AfterShare,), TypeError, "AfterShare is a class, not a policy"),
        ((None, DivPrune), TypeError, r"DivPrune is a class, not a pruner: build one, DivPrune\("),
        ((None, FastV), TypeError, "FastV is a class, not a pruner"),
        ((Scripted([], "attention"),), TypeError, "reads='attention'; it must be a frozenset"),
        ((Scripted([], frozenset({1})),), TypeError, "reads=frozenset.* of names"),
        ((None, SimpleNamespace(needs=["a"], site="entry", select=print)), TypeError, "needs=.'a'"),
        ((DivPrune(),), TypeError, "is not a policy"),
        ((None, Keep()), TypeError, "is not a pruner: it has needs"),
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
    assert Controller(Keep(), probe="all").session(able, 1).measuring.layers == every
    assert Controller(Keep(), tokens=True).session(able, 1).measuring.layers == every
    assert Controller(Keep(), probe="needed").session(able, 1).measuring.layers == frozenset()
    assert Controller(reader, probe="needed").session(able, 1).measuring.layers == every
    assert Controller(reader, probe=some).session(able, 1).measuring.layers == some
    unable = Controller(Keep(), probe="all").session(SPEC, 1)
    assert unable.measuring.layers == frozenset(), "it cannot be measured"


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


@pytest.mark.parametrize(
    ("policy", "pruner", "message"),
    [
        (AfterShare(0.5, 0.5), None, "the controller has no pruner"),
        (AfterShare(0.5, 0.5, layer=4), DivPrune(), "toy has 4 layers, 0 to 3"),
        (AfterShare(0.5, 0.0, layer=99), None, "toy has 4 layers, 0 to 3"),
        (AfterShare(0.5, 0.5, layer=0), FastV(), r"fastv\(.*before layer 0.*layer 1 or later"),
    ],
)
def test_announced_drops_are_checked_when_attached(policy: Any, pruner: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Controller(policy, pruner)(Toy(LAYERED))
    unable = dataclasses.replace(LAYERED, can=LAYERED.can - {"drop"})
    with pytest.raises(CapabilityError, match="the plan asks for drop; toy cannot"):
        Controller(AfterShare(0.5, 0.5), Random()).check(unable)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (ConfidentCommits(), r"confident_commits\(.*asks for commit; toy cannot"),
        (LayerSkip(layers=(1,)), r"layer_skip\(.*asks for bypass; toy cannot"),
        (Abstain(Compose([Keep(), ConfidentCommits()])), r"abstain\(.*asks for commit; toy"),
    ],
)
def test_announced_actions_are_checked_when_attached(policy: Any, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        Controller(policy)(Toy(LAYERED))


@pytest.mark.parametrize("policy", [LayerSkip(layers=(1, 99)), Auto(layers=(1, 99))])
def test_layers_that_are_not_there_are_refused_when_attached(policy: Any) -> None:
    able = Toy(dataclasses.replace(LAYERED, can=LAYERED.can | {"bypass", "commit"}))
    with pytest.raises(PlanError, match=r"skips layers \[1, 99\]: toy has 4 layers, 0 to 3"):
        Controller(policy)(able)


def test_compact_positions_and_skipped_layers_do_not_go_together() -> None:
    able = Toy(dataclasses.replace(LAYERED, can=LAYERED.can | {"bypass", "received"}))
    for policy in (LayerSkip(), LayerSkip(layers=(1,)), EveryNSteps(LayerSkip(layers=(1,)), 2)):
        with pytest.raises(PlanError, match="positions='compact' is not defined.*use 'original'"):
            Controller(policy, positions="compact")(able)


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
