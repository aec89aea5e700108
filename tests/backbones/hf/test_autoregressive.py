"""transformers' autoregressive classes under a controller: identity, drops, restoring, counts."""

from typing import Any

import pytest
import torch

from saccade.backbones.hf import wrap_hf
from saccade.controller import Controller, Drop, Plan
from tests.backbones.hf.dense_oracle import Dense, Passes
from tests.backbones.hf.hf_models import AUTOREGRESSIVE, PICTURE, Request
from tests.backbones.hf.scripted import Script, Spread, readable, spread

HOW: dict[str, Any] = {
    "max_new_tokens": 6,
    "do_sample": False,
    "output_logits": True,
    "return_dict_in_generate": True,
}
KERNELS = [("sdpa", kind) for kind in AUTOREGRESSIVE] + [
    ("eager", "qwen2.5-vl"),
    ("eager", "gemma3"),
]


def controlled(model: Any, request: Request, plans: dict[int, Plan], **how: Any) -> Any:
    wrapped = wrap_hf(model)
    with Controller(Script(plans), how.pop("pruner", Spread()), probe="all")(wrapped):
        return model.generate(**request, **HOW | how), wrapped.traces


def places(request: Request) -> list[torch.Tensor]:
    return [(row == PICTURE).nonzero()[:, 0] for row in request["input_ids"]]


def lost_in(visual: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    gone = torch.ones(len(visual), dtype=torch.bool)
    gone[kept] = False
    return visual[gone]


@pytest.mark.parametrize(("attention", "name"), KERNELS)
def test_an_empty_plan_changes_no_bit(attention: str, name: str) -> None:
    kind = AUTOREGRESSIVE[name]
    model, request = kind.model(attention), kind.request()
    plain = model.generate(**request, **HOW)
    out, traces = controlled(model, request, {0: Plan()})
    assert torch.equal(out.sequences, plain.sequences)
    assert all(map(torch.equal, out.logits, plain.logits))
    for own, layer in zip(out.past_key_values.layers, plain.past_key_values.layers, strict=True):
        assert type(own) is type(layer)
        assert torch.equal(own.keys, layer.keys) and torch.equal(own.values, layer.values)
    assert traces[0].forwards == HOW["max_new_tokens"]


CASES = {
    "at the entry": {0: Plan((Drop(0, 0.25),))},
    "before a layer": {0: Plan((Drop(2, 0.5),))},
    "all before a layer": {0: Plan((Drop(3, 0.0),))},
    "in two places": {0: Plan((Drop(1, 0.5), Drop(4, 0.25)))},
    "later": {0: Plan(), 2: Plan((Drop(2, 0.25),))},
    "more later": {0: Plan((Drop(2, 0.5),)), 3: Plan((Drop(2, 0.25),))},
    "skipping layers": {0: Plan(bypass=frozenset({1, 4}))},
    "skipping, then dropping": {0: Plan((Drop(4, 0.5),), frozenset({2}))},
    "dropping and showing again": {0: Plan(), 2: Plan((Drop(1, 0.25),)), 4: Plan()},
}


def readable_of(plan: Plan, left: torch.Tensor, total: int) -> list[torch.Tensor]:
    """What layers read where a plan chooses among the tokens that are left."""
    (drop,) = plan.drops
    chosen = left[spread(len(left), round(drop.keep * total))]
    return [torch.arange(total) if i < drop.layer else chosen for i in range(6)]


FEW = ("in two places", "more later", "skipping, then dropping")
"""What every class is tried with; the first one with all."""
PAIRS = [
    (name, case) for name in AUTOREGRESSIVE for case in (CASES if name == "qwen2.5-vl" else FEW)
]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_plans_equal_dense_masks(name: str, case: str) -> None:
    kind, plans = AUTOREGRESSIVE[name], CASES[case]
    model, request = kind.model(), kind.request()
    passes = Passes(model.model.language_model)
    with passes.recorded():
        out, traces = controlled(model, request, plans)
    dense, visual = Dense(model), places(request)[0]
    layers, before = 6, torch.arange(len(visual))
    for step, (_, kwargs) in enumerate(passes.seen):
        plan = plans[max(own for own in plans if own <= step)]
        now = readable(plan, len(before), layers)
        if step and plan.drops and plans[0].drops and plan != plans[0]:  # among those left
            now = readable_of(plan, readable(plans[0], len(before), layers)[-1], len(before))
        skipped = {i: [visual] for i in plan.bypass} if step == 0 else None
        hidden = dense.run(
            dense.model.model.language_model,
            kwargs,
            lambda i, now=now: [lost_in(visual, now[i])],
            skipped,
        )
        logits = dense.model.lm_head(hidden[:, -1:])[:, 0]
        scale = out.logits[step].abs().max()
        assert (out.logits[step] - logits).abs().max() < 2e-5 * max(1, scale), step
        assert traces[0].steps[step].kept == tuple(now[-1].tolist())
