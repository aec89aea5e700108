"""Prompts whose last row is a visual token, which may be gone when it is asked."""

from typing import Any

import pytest
import torch

from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as CAUSAL
from saccade.controller import Controller, parse_policy, parse_pruner
from saccade.controller.errors import PlanError
from saccade.controller.views import Selection, VisualView
from saccade.pruners.base import ScorePruner
from tests.tiny import fake_page, tiny_model

WAYS: list[tuple[Family, dict[str, Any]]] = [
    (LLADA_V, {"gen_length": 8, "block_length": 4, "steps": 4}),
    (LLADA_V, {"gen_length": 8, "block_length": 4, "steps": 4, "prefix_refresh_interval": 2}),
    (LAVIDA, {"gen_length": 8, "steps": 4}),
    (LAVIDA, {"gen_length": 8, "steps": 4, "prefix_lm": False}),
    (CAUSAL, {"gen_length": 8}),
]
PROMPTS = [[1, 2, -200], [-200], [1, -200, -200], [-200, -200], [-200, 3, -200]]
PRUNERS = ["pyramiddrop()", "fastv('instruction')", "fastv('last')", "fastv('all')", "dart()"]
POLICIES = [
    "by_layer(layers=(1, 2, 3), keeps=(0.5, 0.25, 0.1))",
    "by_layer(layers=(1, 3), keeps=(0.3, 0.1))",
    "after_share(0.5, keep=0.25, layer=2)",
]


@pytest.mark.parametrize(("family", "options"), WAYS)
@pytest.mark.parametrize("ids", PROMPTS)
def test_stages_in_a_layer_work_and_do_not_depend_on_the_batch(
    family: Family, options: dict[str, Any], ids: list[int]
) -> None:
    model = tiny_model(family=family)
    pages = [fake_page(seed=i) for i in range(ids.count(-200))]
    own, other = model.prepare_ids(ids, pages), model.prepare_ids([4, -200, 6], [fake_page(seed=7)])
    for pruner in PRUNERS:
        for policy in POLICIES:
            controller = Controller(parse_policy(policy), parse_pruner(pruner))
            alone = model.generate(inputs=own, controller=controller, **options)
            together = model.generate(inputs=[own, other], controller=controller, **options)
            assert together[0].tokens == alone.tokens, (pruner, policy)
            for step in alone.trace.steps:
                assert len(step.kept) == step.visual_per_layer[-1]


@pytest.mark.parametrize(("family", "options"), WAYS)
@pytest.mark.parametrize("policy", ["vtw(layer=2)", "layer_skip(layers=(3,))"])
def test_a_prompt_that_is_lost_as_a_whole(
    family: Family, options: dict[str, Any], policy: str
) -> None:
    model = tiny_model(family=family)
    controller = Controller(parse_policy(policy))
    words = model.prepare_ids([1, -200], [fake_page()])
    assert model.generate(inputs=words, controller=controller, **options).tokens
    alone = model.prepare_ids([-200], [fake_page()])
    if family is LLADA_V:  # its answer stands on its own
        assert model.generate(inputs=alone, controller=controller, **options).tokens
        return
    with pytest.raises(PlanError, match="a prompt that holds nothing else"):
        model.generate(inputs=alone, controller=controller, **options)


class _Asked(ScorePruner):
    """Remembers what it was shown, and keeps the first tokens: the last row goes at once."""

    needs, site, source = frozenset({"attention:instruction"}), "layer", "test"

    def __init__(self) -> None:
        self.shown: list[torch.Tensor] = []

    def score(self, view: VisualView) -> torch.Tensor:
        self.shown.append(view.of("attention:instruction"))
        return -torch.arange(len(view), dtype=torch.float32)

    def select(self, view: VisualView, n: int) -> Selection:
        return super().select(view, n)


def test_the_last_row_that_is_left_is_asked() -> None:
    model, asked = tiny_model(), _Asked()
    inputs = model.prepare_ids([1, 2, -200], [fake_page()])
    policy = parse_policy("by_layer(layers=(1, 2), keeps=(0.5, 0.25))")
    model.generate(
        inputs=inputs, controller=Controller(policy, asked), gen_length=4, block_length=4, steps=1
    )
    first, second = asked.shown
    assert len(second) == len(first) // 2
    # Attention is a share of all keys: some goes to the prompt's words and to the answer.
    assert 0 < float(second.sum()) < 1
    assert not torch.allclose(first[: len(second)], second)
