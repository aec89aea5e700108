"""Visual tokens that skip layers, against forwards in which they are neither computed nor seen."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from saccade.backbones import Model, Prepared, StepView
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llava_ar import FAMILY as LLAVA
from saccade.controller import (
    BasePolicy,
    CapabilityError,
    Controller,
    Drop,
    Generation,
    Plan,
    PlanError,
    Pruner,
)
from saccade.controller.types import round_keep
from saccade.pruners import FastV, Random
from tests.backbones.decoding.test_batches import close, facts
from tests.backbones.execution.cached import Shaped, expected_logits
from tests.backbones.execution.planned import Planned, survivors
from tests.backbones.network.naive import naive_forward
from tests.tiny import MASK, fake_request, mixed_requests, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 8, "steps": 4}
PLANS: dict[str, Sequence[Plan]] = {
    "one layer": [Plan(bypass={1})] * 4,
    "the first": [Plan(bypass={0})] * 4,
    "the last two": [Plan(bypass={2, 3})] * 4,
    "now and then": [Plan(), Plan(bypass={1, 3}), Plan(bypass={0, 1}), Plan()],
    "after a drop": [Plan((Drop(0, 0.4),), {2}), Plan((Drop(0, 0.4),), {1, 2})] * 2,
    "around a drop": [Plan((Drop(2, 0.4),), {1, 2})] * 4,
    "all layers": [Plan(bypass={0, 1, 2, 3})] * 4,
}


def run(model: Model, inputs: Any, plans: Sequence[Plan], pruner: Pruner, **options: Any) -> Any:
    views: list[StepView] = []
    controller = Controller(Planned(plans), pruner)
    how = {**SHAPE, **options}
    out = model.generate(inputs=inputs, controller=controller, callback=views.append, **how)
    return out, views


@pytest.mark.parametrize("name", PLANS)
def test_every_step_equals_the_written_out_forward(name: str, model: Model) -> None:
    page = fake_request(model, [(40, 30)])
    out, views = run(model, page, PLANS[name], Random(), block_length=8)
    ids, visual = [MASK] * 8, page.visual_positions.tolist()
    for plan, view in zip(PLANS[name], views, strict=True):
        stays = survivors(page, view.record.kept, len(ids))
        alive = {plan.drops[0].layer: stays} if plan.drops else {}
        embed = model.network.model.embed_tokens
        with torch.inference_mode():
            x = torch.cat([page.embeds, embed(torch.tensor(ids))])
        skip = dict.fromkeys(plan.bypass, visual)
        wanted = naive_forward(model.network, x, alive, skip=skip).logits[-len(ids) :]
        free = view.logits.isfinite()
        torch.testing.assert_close(view.logits[free], wanted[free], atol=1e-4, rtol=1e-4)
        left = [round_keep(0.4, len(visual)) if layer in _after(plan) else len(visual)
                for layer in range(4)]  # fmt: skip
        counts = [0 if layer in plan.bypass else n for layer, n in enumerate(left)]
        assert list(view.record.visual_per_layer) == counts
        text = len(page) - len(visual) + len(ids)
        assert list(view.record.rows_per_layer) == [text + n for n in counts]
        ids = list(view.record.tokens)


def _after(plan: Plan) -> range:
    return range(plan.drops[0].layer, 4) if plan.drops else range(0)


@pytest.mark.parametrize("bypass", [{1}, {0, 1}, {2, 3}, {0, 3}], ids=str)
@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_a_prompt_that_skips_is_cached_like_that(bypass: set[int], keep: float) -> None:
    lavida = tiny_model(family=LAVIDA)
    page, drops = fake_request(lavida, [(40, 30)]), (Drop(1, keep),) if keep < 1 else ()
    out, views = run(lavida, page, [Plan(drops, bypass)] * 4, Random())
    n, visual = len(page), len(page.visual_positions)
    ids = [out.trace.steps[0].tokens[0], *[MASK] * 7]
    for view in views:
        shape = Shaped(drops, view.record.kept)
        wanted = expected_logits(lavida, page, ids, shape, shape, skip=bypass)
        torch.testing.assert_close(view.logits[1:], wanted[n:-1], atol=1e-3, rtol=1e-3)
        left = [
            visual - len(shape.lost(layer, page.visual_positions.tolist())) for layer in range(4)
        ]
        counts = [0 if layer in bypass else left[layer] for layer in range(4)]
        assert list(view.record.visual_per_layer) == counts
        assert list(view.record.keys_per_layer) == [n + 8 - visual + c for c in counts]
        ids = list(view.record.tokens)
    assert out.trace.refreshes == 1


def test_skipping_more_cuts_the_cache_and_less_computes_the_prompt() -> None:
    lavida = tiny_model(family=LAVIDA)
    page = fake_request(lavida, [(40, 30)])
    plans = [Plan(), Plan(bypass={2}), Plan(bypass={1, 2}), Plan(bypass={1})]
    out, views = run(lavida, page, plans, Random())
    assert [step.refreshed for step in out.trace] == [True, False, False, True]
    n = len(page.visual_positions)
    assert [step.visual_per_layer for step in out.trace] == [
        (n, n, n, n), (n, n, 0, n), (n, 0, 0, n), (n, 0, n, n),
    ]  # fmt: skip
    ids = list(out.trace.steps[2].tokens)
    wanted = expected_logits(lavida, page, ids, Shaped(), Shaped(), skip={1})
    torch.testing.assert_close(views[3].logits[1:], wanted[len(page) : -1], atol=1e-3, rtol=1e-3)


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "blocks": (None, {"block_length": 4}),
    "prefix refresh": (None, {"block_length": 4, "prefix_refresh_interval": 2}),
    "guided": (None, {"block_length": 8, "cfg_scale": 0.5}),
    "prefix": (LAVIDA, {}),
    "full": (LAVIDA, {"prefix_lm": False}),
    "causal": (LLAVA, {}),
}


class EachItsOwn(BasePolicy):
    """Skips and drops that depend on what the sequence itself has shown."""

    reads = frozenset({"confidence"})

    def plan(self, state: Any, signals: Any) -> Plan:
        sure = 0.3 if signals is None else signals.mean_confidence or 0.3
        number = round(sure * 1000)
        skipped = {layer for layer in range(4) if number >> layer & 1}
        return Plan((Drop(0, 0.5),) if state.step % 4 == 3 else (), skipped)

    def reset(self) -> None: ...


@pytest.mark.parametrize("name", CASES)
def test_a_batch_gives_what_singles_give(name: str) -> None:
    family, options = CASES[name]
    model = tiny_model() if family is None else tiny_model(family=family)
    how = {"gen_length": 8, **({} if family is LLAVA else {"steps": 4}), **options}
    controller = Controller(EachItsOwn(), Random())
    requests = mixed_requests(model)
    singles: list[Generation] = [
        model.generate(inputs=one, controller=controller, **how) for one in requests
    ]
    batch = model.generate(inputs=requests, controller=controller, **how)
    assert len({step.plan.bypass for out in batch for step in out.trace}) > 3
    for one, other in zip(singles, batch, strict=True):
        assert other.tokens == one.tokens
        assert facts(other) == facts(one)
        for step, alone in zip(other.trace, one.trace, strict=True):
            close(step.signals, alone.signals)


def test_a_pruner_is_not_asked_about_a_layer_that_was_skipped(model: Model) -> None:
    page = fake_request(model, [(40, 30)])
    with pytest.raises(PlanError, match="layer 1"):
        run(model, page, [Plan((Drop(2, 0.4),), {1})] * 4, FastV(), block_length=8)


def test_compact_positions_know_no_skipping(model: Model) -> None:
    page: Prepared = fake_request(model, [(40, 30)])
    controller = Controller(Planned([Plan(bypass={1})]), positions="compact")
    with pytest.raises(PlanError, match="compact"):
        model.generate(inputs=page, controller=controller, block_length=8, **SHAPE)


def test_layers_that_do_not_exist_cannot_be_skipped(model: Model) -> None:
    page = fake_request(model, [(40, 30)])
    with pytest.raises(PlanError, match="4 layers, 0 to 3"):
        run(model, page, [Plan(bypass={4})], Random(), block_length=8)


def test_an_autoregressive_model_commits_by_no_rule() -> None:
    from saccade.controller import CommitRule

    llava = tiny_model(family=LLAVA)
    plan = Plan(commit=CommitRule("threshold", 0.5))
    with pytest.raises(CapabilityError, match="commit"):
        llava.generate(
            inputs=fake_request(llava, [(40, 30)]),
            controller=Controller(Planned([plan])),
            gen_length=4,
        )
