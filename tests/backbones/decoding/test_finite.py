"""A model that computes no numbers is an error that says where, and never an answer."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

import saccade
from saccade.backbones import Model
from saccade.backbones.families.family import Family
from saccade.backbones.families.lavida_dream import FAMILY as LAVIDA
from saccade.backbones.families.llada_v import FAMILY as LLADA_V
from saccade.backbones.families.llava_ar import FAMILY as CAUSAL
from saccade.controller import Controller
from saccade.controller.errors import CheckpointError, NonFiniteError
from tests.tiny import fake_page, tiny_model

WAYS: list[tuple[Family, dict[str, Any]]] = [
    (LLADA_V, {"gen_length": 8, "block_length": 8, "steps": 4}),
    (LLADA_V, {"gen_length": 8, "block_length": 4, "steps": 4, "prefix_refresh_interval": 2}),
    (LLADA_V, {"gen_length": 8, "block_length": 8, "steps": 4, "cfg_scale": 1.0}),
    (LAVIDA, {"gen_length": 8, "steps": 4}),
    (LAVIDA, {"gen_length": 8, "steps": 4, "prefix_lm": False}),
    (CAUSAL, {"gen_length": 8}),
]
CONTROLLERS = [
    None,
    Controller(),
    Controller(saccade.AfterShare(0.0, keep=0.5), saccade.UniformGrid()),
]


def overflowing(family: Family, folder: Path) -> Model:
    """A model whose layer 1 leaves the range of float16, as stored in bfloat16."""
    model = tiny_model(tokenizer=True, family=family)
    with torch.no_grad():
        weights: Any = model.network.model.layers[1].mlp
        weights.down_proj.weight *= 3e4
    model.network.to(torch.bfloat16)
    model.save_pretrained(folder)
    return saccade.load(folder, dtype="float16", device="cpu")


@pytest.mark.parametrize(("family", "options"), WAYS)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_an_overflow_names_step_layer_and_remedy(
    family: Family, options: dict[str, Any], temperature: float, tmp_path: Path
) -> None:
    model = overflowing(family, tmp_path)
    for controller in CONTROLLERS:
        with pytest.raises(NonFiniteError) as error:
            model.generate(
                "hello", [fake_page()], temperature=temperature, controller=controller, **options
            )
        for part in ("step 0 of sequence 0", "layer 1 gave", "float16", "bfloat16 or float32"):
            assert part in str(error.value)
    wide = saccade.load(tmp_path, dtype="bfloat16", device="cpu")
    assert wide.generate("hello", [fake_page()], **options).text


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda m: m.image_newline, "the embeddings of text and picture gave"),
        (lambda m: m.layers[0].self_attn.q_proj.weight, "layer 0 gave"),
        (lambda m: m.layers[3].mlp.up_proj.weight, "layer 3 gave"),
        (lambda m: m.norm.weight, "the output head gave"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_numbers_are_traced_to_their_layer(damage: Any, where: str, value: float) -> None:
    model = tiny_model(tokenizer=True)
    with torch.no_grad():
        damage(model.network.model).view(-1)[0] = value
    with pytest.raises(NonFiniteError, match=where):
        model.generate("hello", [fake_page()], gen_length=4, block_length=4, steps=2)


@pytest.mark.parametrize(
    "pruner", ["divprune", "fastv", "dart", "pyramiddrop", "sparsevlm", "trim", "uniform"]
)
@pytest.mark.parametrize(("family", "options"), WAYS)
def test_what_a_pruner_cannot_choose_from_is_traced_too(
    pruner: str, family: Family, options: dict[str, Any]
) -> None:
    model = tiny_model(tokenizer=True, family=family)
    with torch.no_grad():
        projector: Any = model.network.model.mm_projector
        projector[2].bias[0] = float("nan")
    layer = 2 if pruner in ("fastv", "dart", "pyramiddrop", "sparsevlm") else 0
    controller = Controller(saccade.AfterShare(0.0, keep=0.25, layer=layer), pruner)
    with pytest.raises(NonFiniteError, match="sequence 1: the embeddings of text and picture gave"):
        requests = [model.prepare("hello"), model.prepare("hello", [fake_page()])]
        model.generate(inputs=requests, controller=controller, **options)


def test_the_first_token_behind_a_cached_prompt_is_checked() -> None:
    model = tiny_model(tokenizer=True, family=LAVIDA)

    def damage(module: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        return out * torch.nan if out.ndim == 2 else out  # the prompt's last row, alone

    model.network.model.norm.register_forward_hook(damage)
    with pytest.raises(NonFiniteError, match="in step 0 of sequence 0: the output head gave"):
        model.generate("hello", [fake_page()], gen_length=4, steps=2)


@pytest.mark.parametrize("options", [{"cfg_scale": 1e38}, {"forbidden_ids": range(263)}])
def test_options_that_leave_no_numbers_are_named(options: dict[str, Any]) -> None:
    model = tiny_model(tokenizer=True)
    with pytest.raises(NonFiniteError, match=r"options of this call \(cfg_scale, forbidden_ids"):
        model.generate("hello", [fake_page()], gen_length=4, steps=2, **options)


def test_only_the_sequence_that_fails_is_named() -> None:
    model = tiny_model(tokenizer=True)
    good, bad = (model.prepare(text, [fake_page()]) for text in ("one", "two"))
    damaged = bad.embeds.clone()
    damaged[0] = torch.nan
    bad = dataclasses.replace(bad, embeds=damaged)
    with pytest.raises(NonFiniteError, match="of sequence 1"):
        model.generate(inputs=[good, bad], gen_length=4, block_length=4, steps=2)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_stored_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    model = tiny_model(tokenizer=True)
    with torch.no_grad():
        damaged: Any = model.network.model.layers[2].self_attn.k_proj
        damaged.weight[1, 1] = value
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"layers\.2\.self_attn\.k_proj\.weight.*damaged"):
        saccade.load(tmp_path)


@pytest.mark.parametrize("via", [False, True])
def test_weights_that_a_type_cannot_hold_are_refused(via: bool, tmp_path: Path) -> None:
    model = tiny_model(tokenizer=True)
    with torch.no_grad():
        large: Any = model.network.lm_head
        large.weight[0, 0] = 7e4
    model.save_pretrained(tmp_path)
    how: dict[str, Any] = {"weights_via_fp16": True} if via else {"dtype": "float16"}
    with pytest.raises(CheckpointError, match=r"lm_head\.weight \(up to 7e\+04, beyond float16"):
        saccade.load(tmp_path, **how)
    assert saccade.load(tmp_path, dtype="bfloat16").generate(
        "hello", [fake_page()], gen_length=4, block_length=4, steps=2
    )
