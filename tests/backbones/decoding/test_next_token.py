"""Autoregressive decoding: against transformers' Qwen2, and against dense forwards."""

from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from saccade.backbones import Model, Prepared, StepView
from saccade.backbones.families.llava_ar import FAMILY
from saccade.controller import AfterShare, BasePolicy, Controller, Drop, Keep, Plan, Pruner
from saccade.pruners import DivPrune, FastV, Random
from tests.backbones.execution.cached import expected_logits, refresh_before, shape_of
from tests.backbones.execution.planned import Planned
from tests.tiny import fake_request, tiny_model

LENGTH = 8


@pytest.fixture(scope="module")
def causal() -> Model:
    return tiny_model(family=FAMILY)


@pytest.fixture(scope="module")
def page(causal: Model) -> Prepared:
    return fake_request(causal, [(40, 30)])


@pytest.fixture(scope="module")
def qwen(causal: Model) -> Qwen2ForCausalLM:
    """transformers' own network with the same weights."""
    language = causal.network.language
    config = Qwen2Config(
        vocab_size=language.vocab_size,
        hidden_size=language.hidden_size,
        intermediate_size=language.intermediate_size,
        num_hidden_layers=language.n_layers,
        num_attention_heads=language.n_heads,
        num_key_value_heads=language.n_kv_heads,
        rms_norm_eps=language.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": language.rope_theta},
        rope_theta=language.rope_theta,  # the name in older releases
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    network = Qwen2ForCausalLM(config).eval()
    own = {
        name: value
        for name, value in causal.network.state_dict().items()
        if not name.startswith(("model.vision_tower", "model.mm_projector", "model.image_newline"))
    }
    network.load_state_dict(own)
    return network


def test_greedy_tokens_are_those_of_transformers(
    causal: Model, page: Prepared, qwen: Qwen2ForCausalLM
) -> None:
    views: list[StepView] = []
    out = causal.generate(inputs=page, gen_length=LENGTH, callback=views.append)
    with torch.inference_mode():
        wanted: Any = qwen.generate(
            inputs_embeds=page.embeds[None],
            max_new_tokens=LENGTH,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    assert list(out.tokens) == wanted.sequences[0].tolist()
    for view, logits in zip(views, wanted.logits, strict=True):
        torch.testing.assert_close(view.logits[0], logits[0].float(), atol=1e-4, rtol=1e-4)


CONTROLLERS: dict[str, tuple[BasePolicy, Pruner | None]] = {
    "divprune in the prefill": (AfterShare(0.0, 0.4), DivPrune()),
    "fastv in the prefill": (AfterShare(0.0, 0.4, layer=2, hold=False), FastV("last")),
    "fastv, then everywhere": (AfterShare(0.0, 0.4, layer=2), FastV("all")),
    "vtw": (AfterShare(0.0, 0.0, layer=2, hold=False), None),
    "later": (AfterShare(0.5, 0.4), Random()),
    "later by the present row": (AfterShare(0.5, 0.4, layer=2, hold=False), FastV("response")),
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_step_equals_a_dense_forward(name: str, causal: Model, page: Prepared) -> None:
    views: list[StepView] = []
    controller = Controller(*CONTROLLERS[name])
    out = causal.generate(
        inputs=page, gen_length=LENGTH, controller=controller, callback=views.append
    )
    trace, visual = out.trace, page.visual_positions.tolist()
    assert [step.refreshed for step in trace] == [True] + [False] * (LENGTH - 1)
    for step, view in enumerate(views):
        now = shape_of(trace, step)
        before = shape_of(trace, refresh_before(trace, step))
        ids = trace.steps[step - 1].tokens if step else ()
        seen = [shape_of(trace, i + 1) for i in range(step)]  # the row of a token runs a step later
        wanted = expected_logits(causal, page, ids, before, seen)
        torch.testing.assert_close(view.logits[0], wanted[-1], atol=1e-3, rtol=1e-3)
        left = [len(visual) - len(now.lost(layer, visual)) for layer in range(4)]
        assert list(view.record.visual_per_layer) == left
        total = len(page) + step - len(visual)
        assert list(view.record.keys_per_layer) == [total + count for count in left]
        assert view.record.rows_per_layer[0] == (1 if step else total + left[0])


def test_restoring_refreshes_prompt_and_answer(causal: Model, page: Prepared) -> None:
    plans = [Plan(), Plan((Drop(0, 0.3),)), *[Plan()] * (LENGTH - 2)]
    views: list[StepView] = []
    out = causal.generate(
        inputs=page,
        gen_length=LENGTH,
        controller=Controller(Planned(plans), Random()),
        callback=views.append,
    )
    assert [step.refreshed for step in out.trace][:4] == [True, False, True, False]
    for step in range(2, LENGTH):
        nothing = shape_of(out.trace, 0)
        wanted = expected_logits(causal, page, out.tokens[:step], nothing, nothing)
        torch.testing.assert_close(views[step].logits[0], wanted[-1], atol=1e-3, rtol=1e-3)


def test_an_answer_ends_before_its_stop(causal: Model, page: Prepared) -> None:
    whole = causal.generate(inputs=page, gen_length=LENGTH).tokens
    stop = whole[3:5]
    first = next(i for i in range(LENGTH) if whole[i : i + 2] == stop)
    out = causal.generate(inputs=page, gen_length=LENGTH, stopping_criteria=[list(stop)])
    assert out.tokens == whole[:first] and out.trace.forwards == first + 2


def test_sampling_follows_the_seed_and_its_filters(causal: Model, page: Prepared) -> None:
    how: dict[str, Any] = {"inputs": page, "gen_length": LENGTH, "temperature": 1.5}
    answers = [causal.generate(seed=seed, **how).tokens for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]
    greedy = causal.generate(inputs=page, gen_length=LENGTH).tokens
    assert causal.generate(seed=1, top_k=1, **how).tokens == greedy
    assert causal.generate(seed=1, top_p=1e-6, **how).tokens == greedy


def test_the_state_counts_tokens(causal: Model, page: Prepared) -> None:
    controller = Controller(Keep(), probe="all")
    trace = causal.generate(inputs=page, gen_length=LENGTH, controller=controller).trace
    states = [step.state for step in trace]
    assert [s.step for s in states] == [s.committed for s in states] == list(range(LENGTH))
    assert {s.n_steps for s in states} == {LENGTH}
    assert [s.cache_age for s in states] == list(range(LENGTH))
    assert [len(step.tokens) for step in trace] == list(range(1, LENGTH + 1))
    for step in trace:
        masses = step.signals
        assert masses.attention_visual is not None and masses.attention_prompt is not None
        assert masses.attention_response is not None
        total = masses.attention_visual + masses.attention_prompt + masses.attention_response
        torch.testing.assert_close(total, torch.ones(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 4}, "one token a step; give gen_length alone"),
        ({"block_length": 4}, "one token a step; give gen_length alone"),
        ({"gen_length": 4, "max_new_tokens": 4}, "which are the same"),
        ({"alg": "entropy"}, "unknown option alg; known options: gen_length, temperature"),
    ],
)
def test_options_of_other_families_are_named(
    options: dict[str, Any], message: str, causal: Model, page: Prepared
) -> None:
    with pytest.raises(TypeError, match=message):
        causal.generate(inputs=page, **options)
