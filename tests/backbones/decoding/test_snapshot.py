"""A call that goes on from the state after a step: what was, bit for bit, or another plan."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared, Snapshot, StepView
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.lavida_llada import FAMILY as LAVIDA_LLADA
from saccade.backbones.families.llada_v import FAMILY as LLADA
from saccade.backbones.families.llava_ar import FAMILY as CAUSAL
from saccade.backbones.families.registry import FAMILIES
from saccade.controller import AfterSteps, Controller, Keep, SaccadeError
from saccade.controller.policies import ConfidentCommits, LayerSkip
from saccade.pruners import RedVTP, UniformGrid
from tests.backbones.execution.planned import same_signals
from tests.tiny import fake_request, mixed_requests, tiny_model

BLOCKS: dict[str, Any] = {"gen_length": 8, "block_length": 4, "steps": 8}
LAVIDA_SHAPE: dict[str, Any] = {"gen_length": 8, "steps": 8}
WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llada": (LLADA, BLOCKS),
    "llada guided": (LLADA, {**BLOCKS, "cfg_scale": 1.0}),
    "llada drawn": (LLADA, {**BLOCKS, "temperature": 0.7, "seed": 3}),
    "llada at random": (LLADA, {**BLOCKS, "remasking": "random", "seed": 3}),
    "llada cached": (LLADA, {**BLOCKS, "prefix_refresh_interval": 3}),
    "llada by factor": (LLADA, {**BLOCKS, "factor": 0.5}),
    "llada with stops": (LLADA, {**BLOCKS, "stopping_criteria": [[7], [9]]}),
    "llada with a suffix": (LLADA, {**BLOCKS, "generation_suffix": [5, 6]}),
    "lavida cached": (LAVIDA, LAVIDA_SHAPE),
    "lavida whole": (LAVIDA, {**LAVIDA_SHAPE, "prefix_lm": False}),
    "lavida drawn": (LAVIDA, {**LAVIDA_SHAPE, "temperature": 0.7, "seed": 3}),
    "lavida by chance": (LAVIDA, {**LAVIDA_SHAPE, "alg": "origin", "seed": 3}),
    "lavida warm order": (LAVIDA, {**LAVIDA_SHAPE, "alg_temp": 0.5, "seed": 3}),
    "lavida shifted": (LAVIDA, {**LAVIDA_SHAPE, "schedule": "shift"}),
    "lavida-llada": (LAVIDA_LLADA, BLOCKS),
    "lavida-llada cached": (LAVIDA_LLADA, {**BLOCKS, "prefix_lm": True}),
    "lavida-llada drawn": (LAVIDA_LLADA, {**BLOCKS, "temperature": 0.7, "seed": 3}),
    "lavida-llada at random": (LAVIDA_LLADA, {**BLOCKS, "remasking": "random", "seed": 3}),
    "lavida-llada shifted": (LAVIDA_LLADA, {**BLOCKS, "schedule": "shift"}),
    "causal": (CAUSAL, {"gen_length": 8}),
    "causal drawn": (CAUSAL, {"gen_length": 8, "temperature": 0.7, "seed": 3}),
}


def test_every_family_is_here() -> None:
    assert {id(family) for family, _ in WAYS.values()} == {id(family) for family in FAMILIES}


def run(
    model: Model, inputs: Any, controller: Controller | None = None, **options: Any
) -> tuple[Any, list[list[Snapshot]], list[list[Tensor]]]:
    """What generate returns, and snapshots and logits of every step of every sequence."""
    n = 1 if isinstance(inputs, Prepared) else len(inputs)
    snapshots: list[list[Snapshot]] = [[] for _ in range(n)]
    logits: list[list[Tensor]] = [[] for _ in range(n)]

    def see(view: StepView) -> None:
        snapshots[view.sequence].append(view.snapshot())
        logits[view.sequence].append(view.logits.clone())

    out = model.generate(inputs=inputs, controller=controller, callback=see, **options)
    return out, snapshots, logits


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("watched", [False, True], ids=["bare", "watched"])
def test_an_empty_plan_gives_the_answer_bit_for_bit(way: str, watched: bool) -> None:
    family, options = WAYS[way]
    model = tiny_model(family=family)
    controller = Controller(Keep(), probe="all") if watched else None
    out, snapshots, logits = run(model, fake_request(model), controller, **options)
    assert len(snapshots[0]) == len(out.trace)
    for number, snapshot in enumerate(snapshots[0], start=1):
        seen: list[Tensor] = []
        again = model.resume(snapshot, controller, lambda v, s=seen: s.append(v.logits.clone()))
        assert again.tokens == out.tokens and again.text == out.text
        assert len(seen) == len(out.trace) - number
        assert all(torch.equal(a, b) for a, b in zip(seen, logits[0][number:], strict=True))
        assert again.trace.macs == out.trace.macs
        assert again.trace.host_transfers == out.trace.host_transfers
        for step, wanted in zip(again.trace, out.trace, strict=True):
            assert (step.state, step.plan, step.tokens) == (
                wanted.state,
                wanted.plan,
                wanted.tokens,
            )
            assert same_signals(step.signals, wanted.signals)


@pytest.mark.parametrize("way", ["llada", "lavida cached", "lavida whole", "llada cached"])
def test_another_plan_is_that_of_a_call_that_plans_it_there(way: str) -> None:
    family, options = WAYS[way]
    model = tiny_model(family=family)
    request = fake_request(model)
    watching = Controller(AfterSteps(99, 0.5), RedVTP("all"), probe="all")
    _, snapshots, _ = run(model, request, watching, **options)
    for step in (1, 3):
        whole = Controller(AfterSteps(step, 0.5), RedVTP("all"), probe="all")
        wanted = model.generate(inputs=request, controller=whole, **options)
        own = Controller(AfterSteps(0, 0.5), RedVTP("all"), probe="all")
        out = model.resume(snapshots[0][step - 1], own)
        assert out.tokens == wanted.tokens and out.trace.macs == wanted.trace.macs
        assert [s.kept for s in out.trace] == [s.kept for s in wanted.trace]
        assert len(out.trace.steps[-1].kept) < out.trace.n_visual


@pytest.mark.parametrize("way", ["llada", "lavida cached", "causal"])
def test_continuations_leave_snapshot_and_call_alone(way: str) -> None:
    """Also those that run while the call itself is still at work."""
    family, options = WAYS[way]
    model = tiny_model(family=family)
    request = fake_request(model)
    bare = model.generate(inputs=request, **options)
    halves = Controller(AfterSteps(0, 0.25), UniformGrid())
    answers: list[tuple[int, ...]] = []

    def disturb(view: StepView) -> None:
        snapshot = view.snapshot()
        model.resume(snapshot, halves)
        answers.append(model.resume(snapshot).tokens)

    out = model.generate(inputs=request, callback=disturb, **options)
    assert out.tokens == bare.tokens and answers == [bare.tokens] * len(out.trace)


def test_one_sequence_of_a_batch_goes_on_alone() -> None:
    model = tiny_model()
    outs, snapshots, _ = run(model, mixed_requests(model), **BLOCKS)
    for out, own in zip(outs, snapshots, strict=True):
        assert model.resume(own[2]).tokens == out.tokens


def test_skips_and_commits_can_be_resumed() -> None:
    model = tiny_model()
    out, snapshots, _ = run(model, fake_request(model), **BLOCKS)
    skips = model.resume(snapshots[0][1], Controller(LayerSkip(layers=(1, 2))))
    assert [bool(s.plan.bypass) for s in skips.trace] == [False] * 2 + [True] * 6
    commits = model.resume(snapshots[0][1], Controller(ConfidentCommits(0.0)))
    assert len(commits.trace) < len(out.trace) and commits.trace.macs < out.trace.macs


def test_errors_say_what_to_do() -> None:
    model = tiny_model()
    views: list[StepView] = []
    model.generate(inputs=fake_request(model), callback=views.append, **BLOCKS)
    with pytest.raises(SaccadeError, match=r"after step 1 was asked for after step 8; call view"):
        views[0].snapshot()
    last = views[-1].snapshot()
    assert repr(last) == "Snapshot(before step 9 of 8 of an answer that is done)"
    with pytest.raises(ValueError, match="is another model's"):
        tiny_model(seed=1).resume(last)
    with pytest.raises(TypeError, match="takes a Snapshot of a callback's view, not None"):
        model.resume(None)  # type: ignore[arg-type]
