"""Methods on real stacks: counts, merges against a plain forward, and what a view shows."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.backbones import Model, Prepared
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.lavida_llada import FAMILY as BLOCKS
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as LLAVA_AR
from saccade.backbones.families.registry import FAMILIES
from saccade.controller import AfterShare, Controller, PlanError, Selection, VisualView, pruners
from saccade.controller.merging import merged_rows
from saccade.controller.policies import AfterSteps, ByLayer
from saccade.controller.types import round_keep
from saccade.controller.view_fields import EXTRAS
from saccade.controller.views import Merge
from tests.backbones.execution.planned import Planned, Spy, plan_of
from tests.backbones.network.naive import naive_forward
from tests.pruners.test_pruners import ROWS
from tests.tiny import fake_request, tiny_model

MODES: list[tuple[Any, dict[str, Any]]] = [
    (LLADA_V, {"gen_length": 6, "block_length": 6, "steps": 3}),
    (LLADA_V, {"gen_length": 6, "block_length": 6, "steps": 3, "prefix_refresh_interval": 2}),
    (LAVIDA, {"gen_length": 6, "steps": 3}),
    (LAVIDA, {"gen_length": 6, "steps": 3, "prefix_lm": False}),
    (BLOCKS, {"gen_length": 6, "block_length": 3, "steps": 4}),
    (BLOCKS, {"gen_length": 6, "block_length": 3, "steps": 4, "prefix_lm": True}),
    (LLAVA_AR, {"gen_length": 3}),
]
IDS = [
    "llada-v",
    "llada-v-prefix",
    "lavida-prefix",
    "lavida-full",
    "lavida-llada-full",
    "lavida-llada-prefix",
    "ar",
]
LAYER = {"tower": 0, "entry": 0, "layer": 2}
_models: dict[str, Model] = {}


def model_of(family: Any) -> Model:
    name = family.name
    if name not in _models:
        _models[name] = tiny_model(family=family)
    return _models[name]


def servable(name: str, options: dict[str, Any]) -> bool:
    """Whether checkpoints without a text tower can serve a pruner."""
    return options.get("relevance") != "text-tower"


METHODS = [(name, options) for name, options in ROWS if servable(name, options)]


def policy_for(name: str, keep: float) -> Any:
    layer = LAYER[pruners.make(name).site]
    if name == "redvtp":
        return AfterSteps(1, keep)
    return AfterShare(0.0 if name == "llada_fastv" else 0.3, keep, layer=layer)


def test_every_family_is_here() -> None:
    assert {family.name for family, _ in MODES} == {f.name for f in FAMILIES}


@pytest.mark.parametrize(("family", "shape"), MODES, ids=IDS)
@pytest.mark.parametrize(("name", "options"), METHODS)
def test_exact_counts_alone_and_in_a_batch(
    name: str, options: dict[str, Any], family: Any, shape: dict[str, Any]
) -> None:
    model, pruner = model_of(family), pruners.make(name, **options)
    pages = [
        fake_request(model, sizes, seed) for seed, sizes in enumerate([[(40, 30)], [(20, 50)]])
    ]
    controller = Controller(policy_for(name, 0.3), pruner)
    both = model.generate(inputs=pages, controller=controller, **shape)
    for page, out in zip(pages, both, strict=True):
        alone = model.generate(inputs=page, controller=controller, **shape)
        assert alone.tokens == out.tokens
        total = len(page.visual_positions)
        n = round_keep(0.3, total)
        reduced = [step for step in out.trace if step.plan.drops]
        assert reduced and len(reduced) < len(out.trace) or name == "llada_fastv"
        for step, own in zip(out.trace, alone.trace, strict=True):
            assert own.kept == step.kept and own.visual_per_layer == step.visual_per_layer
            layer = step.plan.drops[0].layer if step.plan.drops else len(step.visual_per_layer)
            assert step.visual_per_layer[:layer] == (total,) * layer
            left = set(step.visual_per_layer[layer:])
            if getattr(pruner, "adaptive", False):
                assert all(0 <= count <= n for count in left)
            else:
                assert left <= {n}


@dataclass(frozen=True)
class Fixed:
    """Keeps the first tokens, and makes the first of them a sum of all."""

    needs = frozenset({"features"})
    site: Any = "layer"
    merges = True
    space: Any = "rows"

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n), self.merge(len(view)))

    def merge(self, total: int) -> Merge:
        weight = torch.linspace(-0.5, 1.0, total)
        return Merge(torch.zeros(total, dtype=torch.int64), torch.arange(total), weight, self.space)


def logits_of(model: Model, page: Prepared, controller: Controller, **shape: Any) -> list[Tensor]:
    seen: list[Tensor] = []
    model.generate(
        inputs=page, controller=controller, callback=lambda view: seen.append(view.logits), **shape
    )
    return seen


def answer_rows(model: Model, page: Prepared, tokens: Any) -> Tensor:
    ids = torch.tensor(tokens, dtype=torch.int64)
    return torch.cat([page.embeds, model.network.model.embed_tokens(ids)])


@pytest.mark.parametrize("layer", [0, 2])
def test_rows_are_summed_where_they_are_dropped_and_at_the_entry_later(layer: int) -> None:
    """Against a plain forward in which the sums are written out."""
    model, page = model_of(LLADA_V), fake_request(model_of(LLADA_V), [(40, 30)])
    visual, total = torch.from_numpy(page.visual_positions), len(page.visual_positions)
    keep = 5 / total
    plans = [plan_of((layer, keep)), plan_of((0, keep)), plan_of((layer, keep))]
    controller = Controller(Planned(plans), Fixed())
    shape = {"gen_length": 6, "block_length": 6, "steps": 3}
    seen: list[Tensor] = []
    out = model.generate(
        inputs=page, controller=controller, callback=lambda view: seen.append(view.logits), **shape
    )

    def summed(hidden: Tensor, positions: Tensor) -> Tensor:
        into, sums = merged_rows(Fixed().merge(total), hidden[visual])
        hidden = hidden.clone()
        hidden[visual[torch.from_numpy(into)]] = sums
        return hidden

    before = (model.spec.mask_id,) * 6
    for step, logits, plan in zip(out.trace, seen, plans, strict=True):
        at = plan.drops[0].layer
        lost = set(visual[5:].tolist())
        alive = [i for i in range(len(page) + 6) if i not in lost]
        naive = naive_forward(
            model.network, answer_rows(model, page, before), {at: alive}, change={at: summed}
        )
        allowed = [i for i in range(logits.shape[1]) if i not in model.spec.forbidden_ids]
        torch.testing.assert_close(
            logits[:, allowed], naive.logits[-6:][:, allowed], atol=2e-4, rtol=1e-4
        )
        before = step.tokens


def test_stages_of_sums_live_on_as_if_made_at_once() -> None:
    """Two merging stages in one step, then both at the entry: the second knows of the first."""
    model, page = model_of(LLADA_V), fake_request(model_of(LLADA_V), [(40, 30)])
    total = len(page.visual_positions)
    plans = [plan_of((1, 8 / total), (2, 3 / total)), plan_of((0, 3 / total))]
    shape = {"gen_length": 4, "block_length": 4, "steps": 2}
    out = model.generate(inputs=page, controller=Controller(Planned(plans), Fixed()), **shape)
    seen: list[Tensor] = logits_of(model, page, Controller(Planned(plans), Fixed()), **shape)
    visual = torch.from_numpy(page.visual_positions)
    rows = answer_rows(model, page, out.trace.steps[0].tokens)
    for count in (total, 8):
        _, sums = merged_rows(Fixed().merge(count), rows[visual[:count]])
        rows[visual[0]] = sums[0]
    lost = set(visual[3:].tolist())
    alive = [i for i in range(len(rows)) if i not in lost]
    naive = naive_forward(model.network, rows, {0: alive})
    allowed = [i for i in range(seen[1].shape[1]) if i not in model.spec.forbidden_ids]
    torch.testing.assert_close(
        seen[1][:, allowed], naive.logits[-4:][:, allowed], atol=2e-4, rtol=1e-4
    )


def test_sums_in_the_tower_are_projected() -> None:
    model, page = model_of(LLADA_V), fake_request(model_of(LLADA_V), [(40, 30)])
    total = len(page.visual_positions)
    plan = plan_of((0, 4 / total))
    pruner = Fixed(site="tower", space="tower")
    shape = {"gen_length": 4, "block_length": 4, "steps": 1}
    (logits,) = logits_of(model, page, Controller(Planned([plan]), pruner), **shape)
    assert page.tower is not None
    features = page.tower.seen("tower:features")
    weight = pruner.merge(total).weight
    rows = answer_rows(model, page, (model.spec.mask_id,) * 4)
    visual = torch.from_numpy(page.visual_positions)
    with torch.inference_mode():
        rows[visual[0]] = model.network.model.mm_projector((weight[:, None] * features).sum(0))
    lost = set(visual[4:].tolist())
    naive = naive_forward(model.network, rows, {0: [i for i in range(len(rows)) if i not in lost]})
    allowed = [i for i in range(logits.shape[1]) if i not in model.spec.forbidden_ids]
    torch.testing.assert_close(
        logits[:, allowed], naive.logits[-4:][:, allowed], atol=2e-4, rtol=1e-4
    )


@pytest.mark.parametrize("family", [LAVIDA, LLAVA_AR], ids=["lavida", "ar"])
def test_where_the_prompt_is_cached_sums_have_it_computed_again(family: Any) -> None:
    model = model_of(family)
    page, shape = fake_request(model, [(40, 30)]), {"gen_length": 4}
    total = len(page.visual_positions)
    plans = [plan_of()] * 2 + [plan_of((0, 0.25))] * 2
    if family is LAVIDA:
        shape["steps"] = 4
    for pruner, times in ((Fixed(), 2), (pruners.make("random"), 1)):
        out = model.generate(inputs=page, controller=Controller(Planned(plans), pruner), **shape)
        assert [s.refreshed for s in out.trace].count(True) == times
        assert out.trace.steps[-1].visual_per_layer == (round_keep(0.25, total),) * 4


NAMES = sorted(set(EXTRAS) - {"tower:text"})


@dataclass(frozen=True)
class Curious:
    """Asks for everything, and keeps the first tokens."""

    needs = frozenset(
        {*NAMES, "features", "attention:instruction", "attention:instruction:own"}
    ) | {
        "attention:all",
        "attention:response",
    }
    site = "layer"

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n))


def test_a_view_shows_what_a_plain_forward_holds() -> None:
    model = model_of(LLADA_V)
    page, layer = fake_request(model, [(40, 30)]), 2
    spy = Spy(Curious())
    shape = {"gen_length": 6, "block_length": 6, "steps": 2}
    plans = [plan_of(), plan_of((layer, 0.5))]
    out = model.generate(inputs=page, controller=Controller(Planned(plans), spy), **shape)
    (view,) = spy.views
    visual = torch.from_numpy(page.visual_positions)
    text = torch.arange(int(visual[-1]) + 1, len(page))
    answer = torch.arange(len(page), len(page) + 6)
    first, later = (
        answer_rows(model, page, tokens)
        for tokens in ((model.spec.mask_id,) * 6, out.trace.steps[0].tokens)
    )
    before, now = (naive_forward(model.network, rows) for rows in (first, later))

    def close(given: Tensor, wanted: Tensor) -> None:
        torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-4)

    close(view.of("text"), later[text])
    close(view.of("answer"), later[answer])
    weights = now.attention[layer - 1].mean(dim=0)
    close(view.of("rows:text"), weights[text][:, visual])
    close(view.of("rows:answer"), weights[answer][:, visual])
    close(view.of("attention:instruction"), weights[len(page) - 1, visual])
    close(view.of("attention:response"), weights[answer][:, visual].mean(dim=0))
    close(view.of("attention:all"), weights[:, visual].mean(dim=0))
    own = now.attention[layer].mean(dim=0)
    close(view.of("attention:instruction:own"), own[len(page) - 1, visual])
    looks = torch.stack([w.mean(dim=0) for w in before.attention]).mean(dim=0)
    close(view.of("rows:before"), looks[answer][:, visual])
    masked = torch.tensor([t == model.spec.mask_id for t in out.trace.steps[0].tokens])
    assert torch.equal(view.of("masked"), masked)
    hidden = hidden_before(model, later, layer)
    close(view.of("hidden"), hidden[visual])
    normed = model.network.model.norm(hidden).detach()
    close(view.of("normed"), normed[visual])
    close(view.of("normed:text"), normed[text])
    assert view.of("keys").shape == (len(visual), 2 * 8)
    assert view.of("keys:text").shape == (len(text), 2 * 8)


@torch.inference_mode()
def hidden_before(model: Model, rows: Tensor, layer: int) -> Tensor:
    """Rows entering a layer, from a network cut off there."""
    from saccade.backbones.network.decoder import run_layers
    from saccade.backbones.network.token_states import TokenStates

    cut = model.network.model.layers[:layer]
    return run_layers(cut, model.network.language, TokenStates.of(rows[None])).hidden[0]


def test_attention_of_the_step_before_is_not_there_in_the_first() -> None:
    model = model_of(LLADA_V)
    page = fake_request(model, [(40, 30)])
    controller = Controller(AfterShare(0, 0.5), pruners.make("redvtp"))
    with pytest.raises(PlanError, match="none before the first; let the policy drop after one"):
        model.generate(inputs=page, controller=controller, gen_length=4, block_length=4, steps=2)


def test_stages_by_layer() -> None:
    model = model_of(LLADA_V)
    page, total = fake_request(model, [(40, 30)]), 0
    total = len(page.visual_positions)
    controller = Controller(ByLayer((1, 2, 3), (0.5, 0.25, 0.1)), pruners.make("pyramiddrop"))
    out = model.generate(inputs=page, controller=controller, gen_length=4, block_length=4, steps=2)
    wanted = (total, *(round_keep(keep, total) for keep in (0.5, 0.25, 0.1)))
    assert [step.visual_per_layer for step in out.trace] == [wanted, wanted]


def test_a_pruner_of_the_tower_cannot_act_later() -> None:
    model = model_of(LLADA_V)
    with pytest.raises(PlanError, match="acts on what the vision tower gives"):
        Controller(AfterShare(0, 0.5, layer=1), pruners.make("trim")).check(model.spec)


def test_a_merge_that_was_not_announced_is_refused() -> None:
    model = model_of(LLADA_V)

    class Silent(Fixed):
        merges = False

    page = fake_request(model, [(40, 30)])
    controller = Controller(AfterShare(0, 0.5, layer=1), replace(Silent()))
    with pytest.raises(PlanError, match="returned a merge, but does not say merges = True"):
        model.generate(inputs=page, controller=controller, gen_length=4, block_length=4, steps=2)
