"""The ideal speed-up that a trace alone tells is that of a run without a controller."""

from typing import Any

import pytest

from saccade import AfterShare, ByLayer, Controller, FastV, LayerSkip, UniformGrid, WithRefresh
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as CAUSAL
from saccade.controller import ConfidentCommits
from saccade.studies.analysis.full_work import ideal_speedup
from tests.tiny import fake_page, tiny_model

WAYS: list[tuple[Family, dict[str, Any]]] = [
    (LLADA_V, {"gen_length": 8, "block_length": 8, "steps": 8}),
    (LLADA_V, {"gen_length": 8, "block_length": 4, "steps": 8, "prefix_refresh_interval": 2}),
    (LLADA_V, {"gen_length": 8, "block_length": 8, "steps": 8, "cfg_scale": 1.0}),
    (LAVIDA, {"gen_length": 8, "steps": 8}),
    (LAVIDA, {"gen_length": 8, "steps": 8, "prefix_lm": False}),
    (CAUSAL, {"gen_length": 8}),
]
CONTROLLERS = [
    Controller(AfterShare(0.25, keep=0.5), UniformGrid()),
    Controller(ByLayer((1, 3), (0.5, 0.2)), FastV()),
    Controller(LayerSkip(layers=(1, 3))),
    Controller(AfterShare(0.0, keep=0.0, layer=2)),
]


@pytest.mark.parametrize(("family", "options"), WAYS)
def test_it_is_that_of_the_bare_model(family: Family, options: dict[str, Any]) -> None:
    model = tiny_model(family=family)
    inputs = model.prepare_ids([1, 2, -200, 4], [fake_page()])
    bare = model.generate(inputs=inputs, **options).trace
    for controller in CONTROLLERS:
        trace = model.generate(inputs=inputs, controller=controller, **options).trace
        expected = (bare.macs + bare.prepare_macs) / (trace.macs + trace.prepare_macs)
        assert ideal_speedup(trace, model.spec.geometry) == pytest.approx(expected, rel=1e-12)
        assert expected > 1


def test_steps_saved_by_a_rule_count() -> None:
    model = tiny_model()
    inputs = model.prepare_ids([1, 2, -200, 4], [fake_page()])
    options: dict[str, Any] = {"gen_length": 8, "block_length": 8, "steps": 8}
    bare = model.generate(inputs=inputs, **options).trace
    rule = Controller(ConfidentCommits(0.1))
    trace = model.generate(inputs=inputs, controller=rule, **options).trace
    assert trace.forwards < bare.forwards == 8
    expected = (bare.macs + bare.prepare_macs) / (trace.macs + trace.prepare_macs)
    assert ideal_speedup(trace, model.spec.geometry) == pytest.approx(expected)


def test_refreshes_are_not_guessed() -> None:
    model = tiny_model(family=LAVIDA)
    inputs = model.prepare_ids([1, 2, -200, 4], [fake_page()])
    controller = Controller(WithRefresh(AfterShare(0.25, keep=0.25), 2), UniformGrid())
    trace = model.generate(inputs=inputs, controller=controller, gen_length=8, steps=8).trace
    assert ideal_speedup(trace, model.spec.geometry) is None
