"""``saccade.wrap`` of models that transformers ships."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models

import saccade
from saccade.backbones.hf import WrappedModel
from tests.backbones.hf.hf_models import QWEN


def test_wrap_knows_transformers_own_classes_and_gives_them_back() -> None:
    model, given = QWEN.model(), QWEN.request() | {"max_new_tokens": 3, "do_sample": False}
    before = model.generate(**given)
    wrapped = saccade.wrap(model)
    assert isinstance(wrapped, WrappedModel)
    handle = wrapped.attach(saccade.Controller("after_steps(0, keep=0.5)", "random"))
    model.generate(**given)
    assert wrapped.last is wrapped.generations[0]
    assert wrapped.traces[0].visual_tokens_ratio < 1
    handle.detach()
    assert "generate" not in vars(model)
    assert torch.equal(before, model.generate(**given))


def test_they_compute_attention_as_they_were_made_to() -> None:
    with pytest.raises(ValueError, match="attention='eager'.* give attn_implementation to from_pr"):
        saccade.wrap(QWEN.model(), attention="eager")


def test_a_processor_without_texts_is_refused_before_anything_runs() -> None:
    model, own = QWEN.model(), Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(TypeError, match="a Tokenizer is no processor.*AutoProcessor"):
        saccade.wrap(model, processor=own)
    with pytest.raises(TypeError, match="given to the controller as it is"):
        saccade.wrap(saccade.wrap(model))  # type: ignore[arg-type]


def test_a_class_of_transformers_without_pictures_is_refused_by_name() -> None:
    config = transformers.Qwen2Config(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    with pytest.raises(saccade.CapabilityError, match="Qwen2ForCausalLM is none of the classes"):
        saccade.wrap(transformers.Qwen2ForCausalLM(config))


def test_a_call_that_fails_leaves_no_trace_of_the_one_before() -> None:
    model, given = QWEN.model(), QWEN.request()
    wrapped = saccade.wrap(model)
    with saccade.Controller("keep")(wrapped):
        model.generate(**given, max_new_tokens=2, do_sample=False)
        assert wrapped.last is not None
        with pytest.raises(saccade.CapabilityError):
            model.generate(**given, max_new_tokens=2, num_beams=2)
    assert wrapped.last is None and wrapped.traces == ()
