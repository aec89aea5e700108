"""The native model uses the object's own weights, and the object stays as it was."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import saccade
from saccade.backbones.published.weights import plain_name
from tests.backbones.published.held import MASK, dream, llada, page, words

ROOT = Path(__file__).parents[3]
BOTH = pytest.mark.parametrize("held", [llada, dream])


def pointers(module: nn.Module) -> dict[str, tuple[int, torch.dtype, tuple[int, ...]]]:
    return {
        plain_name(name): (p.data_ptr(), p.dtype, tuple(p.shape))
        for name, p in module.named_parameters(remove_duplicate=False)
    }


@BOTH
def test_every_weight_is_the_objects_own(held: Any) -> None:
    model = held()
    assert pointers(saccade.wrap(model).network) == pointers(model)


@BOTH
def test_the_object_is_as_it_was(held: Any) -> None:
    model = held().train()
    model.model.embed_tokens.weight.requires_grad_(False)
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)
    before = {n: (id(p), p.requires_grad, p._version) for n, p in model.named_parameters()}
    attributes, values = set(vars(model)), copy.deepcopy(model.state_dict())
    wrapped = saccade.wrap(model)
    with saccade.Controller("after_steps(1, keep=0.5)", "divprune")(wrapped):
        wrapped.answer((), page() | options(held))
    assert {n: (id(p), p.requires_grad, p._version) for n, p in model.named_parameters()} == before
    assert set(vars(model)) == attributes and model.training and model.lm_head.training
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert model.lm_head.weight.grad is not None
    assert not any(p.requires_grad for p in wrapped.network.parameters())
    assert not wrapped.network.training


def options(held: Any) -> dict[str, Any]:
    if held is dream:
        return {"max_new_tokens": 8, "temperature": 0, "steps": 4}
    return {"gen_length": 8, "block_length": 8, "steps": 4, "mask_id": MASK}


@BOTH
def test_a_weight_that_is_changed_in_place_is_changed_for_both(held: Any) -> None:
    model = held()
    wrapped, call = saccade.wrap(model, words()), page() | options(held)
    with torch.no_grad():
        model.model.layers[1].self_attn.v_proj.weight.mul_(-1)
        model.model.norm.weight[3] += 5
    answers = [model.generate(**call), wrapped.generate(**call)]
    ids = [answer if isinstance(answer, torch.Tensor) else answer.sequences for answer in answers]
    assert ids[0].tolist() == ids[1].tolist()


@BOTH
@pytest.mark.parametrize("how", [lambda m: m.double(), lambda m: m.lm_head.bfloat16(), "assigned"])
def test_weights_that_moved_are_seen(held: Any, how: Any) -> None:
    model = held()
    wrapped, call = saccade.wrap(model), page() | options(held)
    if how == "assigned":
        model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
    else:
        how(model)
    with pytest.raises(saccade.CapabilityError, match="wrap it again"):
        wrapped.generate(**call)
    with (
        pytest.raises(saccade.CapabilityError, match="wrap it again"),
        saccade.Controller("none")(wrapped),
    ):
        pass
    assert "generate" not in vars(model) and wrapped.controller is None


def test_a_tied_head_is_the_embedding() -> None:
    model = llada(tie_word_embeddings=True)
    model.lm_head.weight = model.model.embed_tokens.weight
    wrapped = saccade.wrap(model, words())
    network, own = wrapped.network, model.model.embed_tokens.weight.data_ptr()
    assert network.lm_head.weight.data_ptr() == own == network.model.embed_tokens.weight.data_ptr()
    call = page() | options(llada)
    assert wrapped.generate(**call).tolist() == model.generate(**call).tolist()


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_is_the_objects(held: Any, dtype: torch.dtype) -> None:
    model = held().to(dtype)
    wrapped = saccade.wrap(model)
    assert {p.dtype for p in wrapped.network.parameters()} == {dtype}
    call = page() | options(held)
    call["images"] = [image.to(dtype) for image in call["images"]]
    out: Any = wrapped.generate(**call)
    assert (out if isinstance(out, torch.Tensor) else out.sequences).shape[-1] >= 8


def test_rotary_frequencies_are_rounded_as_the_objects_are() -> None:
    whole, cast = dream(), dream().bfloat16()
    late = dream()
    for module in late.modules():  # weights in half precision, buffers as they were made
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.bfloat16()
    back = dream().bfloat16().float()
    rotary = [saccade.wrap(m).network.language.rotary for m in (whole, cast, late, back)]
    assert rotary == [torch.float32, torch.bfloat16, torch.float32, torch.bfloat16]


def test_a_tower_may_have_another_dtype() -> None:
    model = llada().bfloat16()
    model.get_vision_tower().float()
    wrapped = saccade.wrap(model, words())
    call = page() | options(llada)
    call["images"] = [image.bfloat16() for image in call["images"]]
    assert wrapped.generate(**call).tolist() == model.generate(**call).tolist()


def test_the_vocabulary_is_what_the_tensors_hold() -> None:
    model = llada()
    for module in (model.model.embed_tokens, model.lm_head):
        module.weight = nn.Parameter(module.weight[:92].clone())
    wrapped = saccade.wrap(model, words())
    assert wrapped.spec.geometry.vocab == 92 == wrapped.config["vocab_size"]
    call = page() | options(llada)
    assert wrapped.generate(**call).tolist() == model.generate(**call).tolist()


@pytest.mark.slow
def test_wrapping_takes_no_memory_of_its_own() -> None:
    """200 MB of weights: neither copied when wrapped, nor for a call."""
    code = """
import os, torch, saccade
from tests.backbones.published.held import llada, prompt

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

model = llada(hidden_size=1024, intermediate_size=4096, num_hidden_layers=3)
size = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
call = {"inputs": prompt(0), "mask_id": 90, "gen_length": 4, "block_length": 4, "steps": 2}
model.generate(**call)
start = peak()
wrapped = saccade.wrap(model)
made = peak() - start
wrapped.generate(**call)
print(size, made, peak() - start)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    size, made, called = (float(part) for part in done.stdout.split())
    assert size > 180
    assert made < 0.1 * size and called < 0.2 * size
