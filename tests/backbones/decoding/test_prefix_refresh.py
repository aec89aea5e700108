"""LLaDA-V's cached prefix: when it is computed, what a step reads, and that a restore refreshes."""

from typing import Any

import pytest
import torch

from saccade.backbones import Model, Prepared, StepView
from saccade.backbones.decoding.commit import factor_count
from saccade.controller import Controller, Drop, Generation, Plan
from saccade.pruners import Random
from tests.backbones.execution.planned import Planned
from tests.backbones.network.naive import naive_forward
from tests.tiny import FORBIDDEN, MASK, fake_request

SHAPE: dict[str, Any] = {"gen_length": 12, "block_length": 6, "steps": 12}


@pytest.fixture(scope="module")
def page(model: Model) -> Prepared:
    return fake_request(model, [(40, 30)])


def run(model: Model, page: Prepared, **options: Any) -> tuple[Generation, list[StepView]]:
    views: list[StepView] = []
    out = model.generate(inputs=page, callback=views.append, **{**SHAPE, **options})
    return out, views


def test_computed_in_every_step_it_is_no_cache(model: Model, page: Prepared) -> None:
    plain, cached = (run(model, page, prefix_refresh_interval=n) for n in (None, 1))
    assert plain[0].tokens == cached[0].tokens
    for one, other in zip(plain[1], cached[1], strict=True):
        assert torch.equal(one.logits, other.logits)


@pytest.mark.parametrize("interval", [2, 4, 32])
def test_it_is_computed_at_a_blocks_start_and_every_so_often(
    interval: int, model: Model, page: Prepared
) -> None:
    trace = run(model, page, prefix_refresh_interval=interval)[0].trace
    in_block = [i for i in range(6)] * 2
    assert [step.refreshed for step in trace] == [i % interval == 0 for i in in_block]
    n = len(page)
    for step, i in zip(trace, in_block, strict=True):
        first = 6 * step.state.block
        rows = n + 12 if i % interval == 0 else 12 - first
        assert set(step.rows_per_layer) == {rows} and set(step.keys_per_layer) == {n + 12}
        unseen = 0 if step.refreshed else first
        assert step.signals.confidence is not None
        assert int(step.signals.confidence.isnan().sum()) == unseen


def test_a_restore_in_between_refreshes(model: Model, page: Prepared) -> None:
    """The step that brings tokens back is a whole forward over what is there now."""
    plans = [Plan(), Plan((Drop(0, 0.3),)), Plan(), *[Plan()] * 9]
    controller = Controller(Planned(plans), Random())
    out, views = run(model, page, prefix_refresh_interval=32, controller=controller)
    assert [step.refreshed for step in out.trace][:4] == [True, False, True, False]
    ids = torch.tensor(out.trace.steps[1].tokens)
    embeds = torch.cat([page.embeds, model.network.model.embed_tokens(ids)])
    wanted = naive_forward(model.network, embeds).logits[len(page) :].clone()
    wanted[ids == MASK] = wanted[ids == MASK].index_fill(1, torch.tensor(FORBIDDEN), -torch.inf)
    torch.testing.assert_close(views[2].logits, wanted, atol=1e-3, rtol=1e-3)
    left = len(page) + 12 - out.trace.n_visual + round(0.3 * out.trace.n_visual)
    assert out.trace.steps[1].keys_per_layer[0] == left


def test_guidance_has_no_cache(model: Model, page: Prepared) -> None:
    with pytest.raises(ValueError, match="cfg_scale=0.5 goes with no cache; leave out prefix_ref"):
        run(model, page, prefix_refresh_interval=4, cfg_scale=0.5)


@pytest.mark.parametrize(
    ("confidence", "factor", "published", "mended"),
    [
        ([0.9, 0.8, 0.76], 1.0, 3, 3),  # 0.667 for the second, 0.75 for the third
        ([0.9, 0.8, 0.74], 1.0, 3, 2),  # the last alone fails
        ([0.9, 0.6, 0.7], 1.0, 3, 2),
        ([0.9, 0.7, 0.6, 0.1], 1.0, 2, 2),
        ([0.9, 0.5, 0.4], 1.0, 1, 1),
        ([0.2, 0.1], 1.0, 2, 1),
        ([0.1], 0.0, 1, 1),
        ([0.1, 0.1, 0.1], 4.0, 3, 3),
        ([0.9, -torch.inf, -torch.inf, -torch.inf], 9.0, 1, 1),
    ],
)
def test_the_factor_rule(
    confidence: list[float], factor: float, published: int, mended: int
) -> None:
    given = torch.tensor(confidence, dtype=torch.float64)
    assert factor_count(given, factor, commit_failing_last=True) == published
    assert factor_count(given, factor, commit_failing_last=False) == mended
