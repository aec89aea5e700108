"""LaViDa-Dream's prefix mode against dense forwards: caches, cuts, restores, positions."""

from typing import Any

import pytest
import torch

from saccade.backbones import Model, Prepared, StepView
from saccade.backbones.families.lavida_dream import FAMILY
from saccade.controller import (
    AfterShare,
    BasePolicy,
    Controller,
    Drop,
    Generation,
    Keep,
    Plan,
    Pruner,
)
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.execution.cached import (
    Shaped,
    expected_logits,
    expected_run,
    refresh_before,
    shape_of,
)
from tests.backbones.execution.planned import Planned
from tests.backbones.network.naive import masses_by_kind
from tests.tiny import MASK, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 8, "steps": 4}


@pytest.fixture(scope="module")
def lavida() -> Model:
    return tiny_model(family=FAMILY)


@pytest.fixture(scope="module")
def page(lavida: Model) -> Prepared:
    return fake_request(lavida, [(40, 30)])


def run(
    model: Model, inputs: Prepared, controller: Controller | None, **options: Any
) -> tuple[Generation, list[StepView]]:
    views: list[StepView] = []
    how = {**SHAPE, **options}
    out = model.generate(inputs=inputs, controller=controller, callback=views.append, **how)
    return out, views


def ids_before(out: Generation, step: int) -> list[int]:
    """The answer as it enters a step; the first token is decided by the prompt."""
    tokens = list(out.trace.steps[max(step - 1, 0)].tokens)
    return tokens if step else [tokens[0], *[MASK] * (len(tokens) - 1)]


CONTROLLERS: dict[str, tuple[BasePolicy, Pruner | None]] = {
    "nothing dropped": (Keep(), None),
    "from the start": (AfterShare(0.0, 0.3), Random()),
    "from the start, divprune": (AfterShare(0.0, 0.5), DivPrune()),
    "later": (AfterShare(0.5, 0.3), Random()),
    "before layer 2": (AfterShare(0.0, 0.3, layer=2, hold=False), Random()),
    "before layer 2, then everywhere": (AfterShare(0.0, 0.3, layer=2), Random()),
    "later before layer 2": (AfterShare(0.25, 0.3, layer=2, hold=False), Random()),
    "by the prompt's last row": (AfterShare(0.0, 0.4, layer=2), FastV("last")),
    "by all of the prompt": (AfterShare(0.0, 0.4, layer=1, hold=False), FastV("all")),
    "by the answer": (AfterShare(0.5, 0.4, layer=2, hold=False), FastV("response")),
    "all gone": (AfterShare(0.25, 0.0), None),
    "all gone before layer 3": (AfterShare(0.0, 0.0, layer=3, hold=False), None),
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_step_equals_a_dense_forward(name: str, lavida: Model, page: Prepared) -> None:
    out, views = run(lavida, page, Controller(*CONTROLLERS[name]))
    visual, n = page.visual_positions.tolist(), len(page)
    for step, view in enumerate(views):
        before = shape_of(out.trace, refresh_before(out.trace, step))
        now = shape_of(out.trace, step)
        wanted = expected_logits(lavida, page, ids_before(out, step), before, now)
        torch.testing.assert_close(view.logits[1:], wanted[n:-1], atol=1e-3, rtol=1e-3)
        if step == 0:
            assert out.tokens[0] == int(wanted[n - 1].argmax())
        left = [len(visual) - len(now.lost(layer, visual)) for layer in range(4)]
        assert list(view.record.visual_per_layer) == left
        assert list(view.record.keys_per_layer) == [n + 8 - len(visual) + count for count in left]
    assert [step.refreshed for step in out.trace] == [True] + [False] * (len(views) - 1)
    assert [step.state.cache_age for step in out.trace] == list(range(len(views)))


def test_rows_computed(lavida: Model, page: Prepared) -> None:
    controller = Controller(AfterShare(0.0, 0.5, layer=2, hold=False), Random())
    trace = run(lavida, page, controller)[0].trace
    n, lost = len(page), trace.n_visual - round(0.5 * trace.n_visual)
    assert trace.steps[0].rows_per_layer == (n + 8, n + 8, n + 8 - lost, n + 8 - lost)
    assert trace.steps[1].rows_per_layer == (8, 8, 8, 8)
    assert trace.refreshes == 1 and trace.host_transfers == len(trace) + 1


def test_a_controller_that_does_nothing_changes_nothing(lavida: Model, page: Prepared) -> None:
    bare, controlled = run(lavida, page, None), run(lavida, page, Controller(Keep()))
    assert bare[0].tokens == controlled[0].tokens
    for one, other in zip(bare[1], controlled[1], strict=True):
        assert torch.equal(one.logits, other.logits)
        assert one.record.keys_per_layer == other.record.keys_per_layer
        assert one.record.rows_per_layer == other.record.rows_per_layer
        assert one.record.macs == other.record.macs


DROPS: dict[str, tuple[Drop, ...]] = {
    "half": (Drop(0, 0.5),),
    "none": (Drop(0, 0.0),),
    "from layer 2": (Drop(2, 0.25),),
    "in two places": (Drop(1, 0.6), Drop(3, 0.2)),
}


@pytest.mark.parametrize("name", DROPS)
def test_dropping_then_restoring_equals_never_dropping(
    name: str, lavida: Model, page: Prepared
) -> None:
    """In as many steps as tokens the first two commit nothing, so a drop there leaves no trace."""
    length = {"gen_length": 8, "steps": 8}
    plain, _ = run(lavida, page, None, **length)
    assert [len(step.committed) for step in plain.trace][:2] == [1, 0]
    plans = [Plan(), Plan(DROPS[name]), *[Plan()] * 6]
    restored, views = run(lavida, page, Controller(Planned(plans), Random()), **length)
    assert restored.trace.steps[1].visual_per_layer != restored.trace.steps[0].visual_per_layer
    assert [step.refreshed for step in restored.trace][:4] == [True, False, True, False]
    assert restored.tokens == plain.tokens
    for step, view in enumerate(views[2:], 2):
        wanted = plain.trace.steps[step].signals.confidence
        given = view.record.signals.confidence
        assert wanted is not None and given is not None
        torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-5)


def test_a_stricter_plan_cuts_and_a_laxer_one_refreshes(lavida: Model, page: Prepared) -> None:
    ratios = [0.6, 0.6, 0.3, 0.1, 0.5, 0.5, 0.0, 1.0]
    plans = [Plan((Drop(0, ratio),)) for ratio in ratios]
    trace = run(lavida, page, Controller(Planned(plans), Random()), steps=8)[0].trace
    assert [step.refreshed for step in trace] == [True, *[False] * 3, True, False, False, True]
    n = trace.n_visual
    assert [step.visual_per_layer[0] for step in trace] == [round(r * n) for r in ratios]
    kept = [set(step.kept) for step in trace]
    assert kept[3] < kept[2] < kept[1] and kept[4] == kept[5] and len(kept[7]) == n


def test_a_plan_may_ask_for_a_refresh(lavida: Model, page: Prepared) -> None:
    plans = [Plan(), Plan(), Plan(refresh=True), Plan()]
    out, _ = run(lavida, page, Controller(Planned(plans)))
    assert [step.refreshed for step in out.trace] == [True, False, True, False]
    assert [step.state.cache_age for step in out.trace] == [0, 1, 2, 1]
    assert out.tokens == run(lavida, page, None)[0].tokens
    rows = [step.rows_per_layer[0] for step in out.trace]
    assert rows == [len(page) + 8, 8, len(page) + 8, 8]


def test_choosing_anew_chooses_from_all(lavida: Model, page: Prepared) -> None:
    plans = [Plan((Drop(0, 0.3),))] * 2 + [Plan((Drop(0, 0.3),), reselect=True)] * 2
    out, _ = run(lavida, page, Controller(Planned(plans), Random()))
    assert [step.refreshed for step in out.trace] == [True, False, True, True]


@pytest.mark.parametrize("layer", [0, 2])
def test_compact_positions_are_those_of_what_is_left(
    layer: int, lavida: Model, page: Prepared
) -> None:
    """From the start: as if the dropped tokens had never been, in layer 0; from a later layer on
    the prompt is numbered anew there, and the answer after what the first layer holds."""
    controller = Controller(AfterShare(0.0, 0.3, layer, hold=False), Random(), positions="compact")
    out, views = run(lavida, page, controller)
    original = run(lavida, page, Controller(AfterShare(0.0, 0.3, layer, hold=False), Random()))[1]
    assert not torch.allclose(views[0].logits, original[0].logits, atol=1e-3)
    if layer == 0:
        visual = page.visual_positions
        lost = set(visual.tolist()) - set(visual[list(out.trace.steps[0].kept)].tolist())
        stays = [i for i in range(len(page)) if i not in lost]
        positions = torch.zeros(len(page) + 8, dtype=torch.int64)
        positions[[*stays, *range(len(page), len(page) + 8)]] = torch.arange(len(stays) + 8)
        shaped = shape_of(out.trace, 0)
        wanted = expected_logits(lavida, page, ids_before(out, 0), shaped, shaped, positions)
        torch.testing.assert_close(
            views[0].logits[1:], wanted[len(page) : -1], atol=1e-3, rtol=1e-3
        )


def test_a_compact_answer_moves_when_the_cache_is_cut(lavida: Model, page: Prepared) -> None:
    """Cached keys keep their rotation; the answer begins after what is left of the first layer."""
    policy = AfterShare(0.5, 0.3)
    out, views = run(lavida, page, Controller(policy, Random(), positions="compact"))
    n, left = len(page), len(page) - out.trace.n_visual + round(0.3 * out.trace.n_visual)
    for step in (1, 2):
        positions = torch.arange(n + 8)
        if step == 2:
            positions[n:] = torch.arange(left, left + 8)
        now = shape_of(out.trace, step)
        wanted = expected_logits(lavida, page, ids_before(out, step), Shaped(), now, positions)
        torch.testing.assert_close(views[step].logits[1:], wanted[n:-1], atol=1e-3, rtol=1e-3)


def test_positions_without_drops_are_the_same(lavida: Model, page: Prepared) -> None:
    compact, original = (
        run(lavida, page, Controller(Keep(), positions=how))[1] for how in ("compact", "original")
    )
    for one, other in zip(compact, original, strict=True):
        assert torch.equal(one.logits, other.logits)


@pytest.mark.parametrize("name", ["from the start", "later", "by the answer", "all gone"])
def test_full_mode_drops_as_llada_v_does(name: str, lavida: Model, page: Prepared) -> None:
    out, views = run(lavida, page, Controller(*CONTROLLERS[name]), prefix_lm=False)
    assert all(step.refreshed for step in out.trace) and len(out.trace) == 4
    for step in out.trace:
        n = [len(page) - out.trace.n_visual + count + 8 for count in step.visual_per_layer]
        assert list(step.rows_per_layer) == list(step.keys_per_layer) == n
    assert all(view.logits.shape == (8, 64) for view in views)


def test_attention_is_that_of_the_rows_that_are_masked(lavida: Model, page: Prepared) -> None:
    """Also in the first step, before which the prompt has decided the first position."""
    out, _ = run(lavida, page, Controller(Keep(), probe="all"))
    for step in out.trace:
        ids = ids_before(out, step.state.step)
        kinds = torch.from_numpy(page.kinds_with_response(len(ids)))
        dense = expected_run(lavida, page, ids, Shaped(), Shaped())
        still = [i for i, token in enumerate(ids) if token == MASK]
        signals = step.signals
        for end, rows in (("", range(len(ids))), ("_masked", still)):
            for kind, name in enumerate(("prompt", "visual", "response")):
                wanted = masses_by_kind(dense, kinds, len(ids), rows)[:, kind]
                torch.testing.assert_close(getattr(signals, f"attention_{name}{end}"), wanted)


def test_without_a_masked_row_nothing_is_known_of_them(lavida: Model, page: Prepared) -> None:
    """The prompt decides an answer of one position."""
    out, _ = run(lavida, page, Controller(Keep(), probe="all"), gen_length=1, steps=1)
    signals = out.trace.steps[0].signals
    assert signals.attention_visual is not None and not bool(signals.attention_visual.isnan().any())
    assert signals.visual_mass is signals.response_mass is signals.mean_confidence is None
