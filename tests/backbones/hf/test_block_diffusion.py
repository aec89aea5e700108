"""DiffusionGemma under a controller: identity, plans against dense masks, restoring, commits."""

from typing import Any

import pytest
import torch

from saccade.backbones.hf import wrap_hf
from saccade.controller import CommitRule, Controller, Drop, Plan
from tests.backbones.hf.dense_oracle import Dense, Passes
from tests.backbones.hf.hf_models import CANVAS, DIFFUSION, PICTURE, Request, diffusion_gemma
from tests.backbones.hf.scripted import Script, Spread, readable


def controlled(model: Any, request: Request, plans: dict[int, Plan], **how: Any) -> Any:
    wrapped = wrap_hf(model)
    torch.manual_seed(3)
    with Controller(Script(plans), how.pop("pruner", Spread()), probe="all")(wrapped):
        return model.generate(**request, **how), wrapped.traces


def same_cache(one: Any, other: Any) -> bool:
    pairs = zip(one.past_key_values.layers, other.past_key_values.layers, strict=True)
    return all(torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values) for a, b in pairs)


@pytest.mark.parametrize(("attention", "window"), [("sdpa", 64), ("sdpa", 24), ("eager", 64)])
def test_an_empty_plan_changes_no_bit(attention: str, window: int) -> None:
    torch.manual_seed(0)
    model = diffusion_gemma(window).eval()
    model.set_attn_implementation(attention)
    request = DIFFUSION.request()
    torch.manual_seed(3)
    plain = model.generate(**request, max_new_tokens=2 * CANVAS)
    out, traces = controlled(model, request, {0: Plan()}, max_new_tokens=2 * CANVAS)
    assert torch.equal(out.sequences, plain.sequences) and same_cache(out, plain)
    assert torch.equal(out.tokens_per_forward, plain.tokens_per_forward)
    n = len(request["input_ids"][0])
    assert traces[0].steps[-1].tokens == tuple(out.sequences[0, n:].tolist())


CASES = {
    "at the entry": {0: Plan((Drop(0, 0.25),))},
    "before a layer": {0: Plan((Drop(2, 0.5),))},
    "none of a layer": {0: Plan((Drop(3, 0.0),))},
    "from a step on": {0: Plan(), 2: Plan((Drop(0, 0.25),))},
    "in two places": {0: Plan(), 1: Plan((Drop(1, 0.5), Drop(4, 0.125)))},
    "shown again": {0: Plan(), 1: Plan((Drop(0, 0.25),)), 3: Plan()},
    "some shown again": {0: Plan(), 1: Plan((Drop(0, 0.25),)), 3: Plan((Drop(0, 0.5),))},
    "skipping": {0: Plan(bypass=frozenset({1, 3}))},
    "skipping, then less": {0: Plan((Drop(4, 0.5),), frozenset({2}))},
    "skipping later": {0: Plan(), 2: Plan(bypass=frozenset({0, 5}))},
}


PAIRS = [(case, 64) for case in CASES] + [("in two places", 24), ("skipping, then less", 24)]


@pytest.mark.parametrize(("case", "window"), PAIRS)
def test_plans_equal_dense_masks_at_equal_canvases(case: str, window: int) -> None:
    plans = CASES[case]
    torch.manual_seed(0)
    model = diffusion_gemma(window).eval()
    request = DIFFUSION.request()
    passes = Passes(model.model.encoder.language_model, model.model.decoder)
    logits: list[torch.Tensor] = []
    keep = model.lm_head.register_forward_hook(lambda *given: logits.append(given[2].clone()))
    with passes.recorded():
        _, traces = controlled(model, request, plans)
    keep.remove()
    visual = (request["input_ids"][0] == PICTURE).nonzero()[:, 0]
    everything, dense, step = torch.arange(len(visual)), Dense(model), 0
    modules = (dense.model.model.encoder.language_model, dense.model.model.decoder)
    for number, kwargs in passes.seen:
        plan = plans[max(own for own in plans if own <= step)]
        now = readable(plan, len(visual), 6)
        lost = [visual[~torch.isin(everything, own)] for own in now]
        skipped = None if number else {i: [visual] for i in plan.bypass}
        hidden = dense.run(modules[number], kwargs, lambda i, lost=lost: [lost[i]], skipped)
        if not number:
            continue
        wanted = dense.model.lm_head(hidden)
        assert (logits[step] - wanted).abs().max() < 2e-5 * max(1, wanted.abs().max()), step
        record = traces[0].steps[step]
        if window == 64:
            assert record.visual_per_layer == tuple(map(len, now))
        step += 1
    assert step == traces[0].forwards >= 3


def test_what_was_dropped_in_the_prompts_pass_comes_back_bit_by_bit() -> None:
    model, request = DIFFUSION.model(), DIFFUSION.request()
    plain, _ = controlled(model, request, {0: Plan()})
    out, traces = controlled(model, request, {0: Plan((Drop(1, 0.25),)), 2: Plan()})
    assert [own.refreshed for own in traces[0]] == [True, False, True, False, False]
    assert [len(own.kept) for own in traces[0]] == [6, 6, 24, 24, 24]
    assert same_cache(out, plain)


def test_hidden_keys_come_back_without_a_refresh() -> None:
    model, request = DIFFUSION.model(), DIFFUSION.request()
    plain, _ = controlled(model, request, {0: Plan()})
    out, traces = controlled(model, request, {0: Plan(), 1: Plan((Drop(1, 0.0),)), 3: Plan()})
    assert [own.refreshed for own in traces[0]] == [True, False, False, False, False]
    assert same_cache(out, plain)


def test_a_plan_may_refresh() -> None:
    model, request = DIFFUSION.model(), DIFFUSION.request()
    plain, before = controlled(model, request, {0: Plan()})
    out, traces = controlled(model, request, {0: Plan(), 2: Plan(refresh=True), 3: Plan()})
    assert torch.equal(out.sequences, plain.sequences) and same_cache(out, plain)
    assert [own.refreshed for own in traces[0]] == [True, False, True, False, False]
    assert [own.state.cache_age for own in traces[0]] == [0, 1, 2, 1, 2]
    assert traces[0].macs > before[0].macs


def test_a_rule_commits_more_and_no_plan_commits_what_the_sampler_accepts() -> None:
    model, request = DIFFUSION.model(), DIFFUSION.request()
    _, plain = controlled(model, request, {0: Plan()})
    rule = {0: Plan(commit=CommitRule("threshold", 0.0))}
    _, all_ = controlled(model, request, rule)
    assert all(len(own.committed) == CANVAS for own in all_[0])
    assert min(len(own.committed) for own in plain[0]) < CANVAS
    masked = [int(own.signals.masked.sum()) for own in plain[0]]
    assert masked == [CANVAS, *(CANVAS - len(own.committed) for own in plain[0].steps[:-1])]
