"""Temperatures at the ends of what numbers can hold."""

from typing import Any

import pytest
import torch

from saccade.backbones.decoding.filtered import filtered
from saccade.backbones.decoding.sampling import HOT, gumbel_scores
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as CAUSAL
from tests.tiny import fake_page, tiny_model

TYPES = [torch.float32, torch.bfloat16, torch.float16]
LENGTHS: list[tuple[Family, dict[str, Any]]] = [
    (LLADA_V, {"gen_length": 8, "block_length": 8, "steps": 8}),
    (LAVIDA, {"gen_length": 8, "steps": 8}),
    (LAVIDA, {"gen_length": 8, "steps": 8, "prefix_lm": False}),
    (CAUSAL, {"gen_length": 8}),
]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("family", "options"), LENGTHS)
def test_very_cold_is_greedy(family: Family, options: dict[str, Any], dtype: torch.dtype) -> None:
    model = tiny_model(tokenizer=True, family=family)
    model.network.to(dtype)
    inputs = model.prepare("hello", [fake_page()])
    greedy = model.generate(inputs=inputs, **options).tokens
    for temperature in (1e-4, 1e-6, 1e-38, 1e-45, 5e-324):
        out = model.generate(inputs=inputs, temperature=temperature, seed=3, **options)
        assert out.tokens == greedy, temperature


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("alg", ["maskgit_plus", "topk_margin", "entropy"])
def test_positions_drawn_very_cold_are_the_surest(alg: str, dtype: torch.dtype) -> None:
    model = tiny_model(tokenizer=True, family=LAVIDA)
    model.network.to(dtype)
    inputs = model.prepare("hello", [fake_page()])
    for steps in (8, 3):
        greedy = model.generate(inputs=inputs, alg=alg, gen_length=8, steps=steps).tokens
        for cold in (1e-6, 1e-38, 5e-324):
            out = model.generate(
                inputs=inputs, alg=alg, alg_temp=cold, gen_length=8, steps=steps, seed=3
            )
            assert out.tokens == greedy, cold


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("temperature", [1.1e-4, 2e-4, 1e-3])
@pytest.mark.parametrize(("top_p", "top_k"), [(None, None), (0.9, None), (None, 2), (0.5, 3)])
def test_cold_probabilities_are_the_best_tokens(
    dtype: torch.dtype, temperature: float, top_p: float | None, top_k: int | None
) -> None:
    logits = torch.tensor([[20.0, -3, 19, 5], [0, 0, 1, -30000], [-50, -70, -90, -60]]).to(dtype)
    p = filtered(logits, temperature, top_p, top_k).softmax(-1)
    assert p.argmax(-1).tolist() == [0, 2, 0]
    assert bool((p.amax(-1) > 0.99).all())


@pytest.mark.parametrize("temperature", [HOT, HOT * 1.01, 200.0, 1e6, 1e300])
def test_hot_scores_still_tell_tokens_apart(temperature: float) -> None:
    noise = torch.rand((50, 64), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise[0, 5] = 1 - 2**-53
    scores = gumbel_scores(torch.randn(50, 64), noise, temperature)
    best = scores.argmax(-1)
    assert bool(scores.isfinite().all()) and len(best.unique()) > 20
    assert best[0] == 5
