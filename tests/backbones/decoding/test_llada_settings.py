"""Settings of generate: what is taken, what it does, and the message for what is not."""

import json
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
import torch

from saccade.backbones import GenerateSettings, Model
from tests.tiny import FORBIDDEN, fake_page, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


def test_the_published_defaults() -> None:
    own = GenerateSettings()
    assert (own.gen_length, own.block_length, own.steps, own.n_blocks) == (128, 128, 128, 1)
    assert (own.temperature, own.cfg_scale, own.remasking) == (0.0, 0.0, "low_confidence")
    assert not own.search_all_stops and own.commit_ineligible


@pytest.mark.parametrize(
    ("options", "given", "allowed"),
    [
        ({"steps": 0}, "steps=0", "1 or more"),
        ({"gen_length": -3}, "gen_length=-3", "1 or more"),
        ({"block_length": 2.0}, "block_length=2.0", "whole number"),
        ({"steps": True}, "steps=True", "whole number"),
        ({"gen_length": 10, "block_length": 4}, "gen_length=10", "block_length=10"),
        ({"gen_length": 8, "block_length": 4, "steps": 3}, "steps=3", "2 blocks"),
        ({"temperature": -0.1}, "temperature=-0.1", "0 (greedy) or more"),
        ({"temperature": float("nan")}, "temperature=nan", "0 (greedy) or more"),
        ({"cfg_scale": -1.0}, "cfg_scale=-1.0", "0 (off) or more"),
        ({"remasking": "entropy"}, "remasking='entropy'", "'low_confidence', 'random'"),
        ({"stopping_criteria": "\n"}, r"stopping_criteria='\n'", r"['\n']"),
        ({"stopping_criteria": [3]}, "stopping_criteria=[3]", "lists of token ids"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    options: dict[str, Any], given: str, allowed: str, model: Model
) -> None:
    with pytest.raises(ValueError) as caught:
        GenerateSettings(**options)
    assert given in str(caught.value) and allowed in str(caught.value)
    with pytest.raises(ValueError):
        model.generate(inputs=fake_request(model), **options)


def test_unknown_options_list_the_known(model: Model) -> None:
    with pytest.raises(TypeError, match="refix_lm") as caught:
        model.generate(inputs=fake_request(model), refix_lm=True)
    assert all(field.name in str(caught.value) for field in fields(GenerateSettings))


@pytest.mark.parametrize("mask_id", [-1, 64, 126336])
def test_a_mask_outside_the_vocabulary(mask_id: int, model: Model) -> None:
    with pytest.raises(ValueError, match=f"mask_id={mask_id} .* vocabulary of 64"):
        model.generate(inputs=fake_request(model), mask_id=mask_id, **SHAPE)


def test_forbidden_ids_are_never_predicted(model: Model) -> None:
    request = fake_request(model)
    free = model.generate(inputs=request, forbidden_ids=(), **SHAPE).tokens
    out = model.generate(inputs=request, forbidden_ids=sorted(set(free)), **SHAPE).tokens
    assert not set(free) & set(out)
    assert not set(model.generate(inputs=request, **SHAPE).tokens) & set(model.spec.forbidden_ids)


def test_a_suffix_is_seen_and_returned(model: Model) -> None:
    request = fake_request(model)
    logits: list[torch.Tensor] = []
    out = model.generate(
        inputs=request,
        generation_suffix=[5, 6],
        callback=lambda view: logits.append(view.logits),
        **SHAPE,
    )
    assert out.tokens[-2:] == (5, 6) and len(out.tokens) == 6
    assert out.trace.steps[0].rows_per_layer[0] == len(request) + 6
    model.generate(inputs=request, callback=lambda view: logits.append(view.logits), **SHAPE)
    assert not torch.allclose(logits[0][:4], logits[2][:4])


def test_stops_as_text(speaking: Model) -> None:
    request, (x,) = speaking.prepare("What?", [fake_page()]), speaking.processor.encode("x")
    others = [i for i in range(speaking.spec.geometry.vocab) if i != x]
    options = {**SHAPE, "inputs": request, "forbidden_ids": others}
    assert speaking.generate(**options).text == "xxxx"
    assert speaking.generate(stopping_criteria=["y", "xxxxx"], **options).text == "xxxx"
    for stop in ("x", "xx", [x, x, x]):
        out = speaking.generate(stopping_criteria=[stop], **options)
        assert out.tokens == () and out.text == ""


def test_the_end_of_turn_stops_unless_told_otherwise(speaking: Model) -> None:
    (x,), (end,) = speaking.processor.encode("x"), speaking.processor.encode("<|eot_id|>")
    others = [i for i in range(speaking.spec.geometry.vocab) if i != end]
    request = speaking.prepare("What?")
    for options, tokens in (
        ({}, ()),
        ({"stopping_criteria": ["x"]}, ()),
        ({"append_eot": False}, (end,) * 4),
        ({"append_eot": False, "stopping_criteria": [[x]]}, (end,) * 4),
    ):
        out = speaking.generate(inputs=request, forbidden_ids=others, **options, **SHAPE)
        assert out.tokens == tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": "4"}, "steps='4': must be a whole number, 1 or more"),
        ({"seed": "x"}, "seed='x': must be a whole number, 0 to 18446744073709551615"),
        ({"seed": 1.5}, "seed=1.5: must be a whole number"),
        ({"seed": -1}, "seed=-1: must be a whole number"),
        ({"seed": 2**64}, "seed=18446744073709551616: must be"),
        ({"mask_id": "x"}, "mask_id='x': must be a whole number"),
        ({"mask_id": 1.0}, "mask_id=1.0: must be a whole number"),
        ({"forbidden_ids": 5}, "forbidden_ids=5: must be a list of token ids"),
        ({"forbidden_ids": "5"}, "forbidden_ids='5': must be a list of token ids"),
        ({"forbidden_ids": ["a"]}, "forbidden_ids=['a']: id='a': must be a whole number"),
        ({"forbidden_ids": [-1]}, "forbidden_ids=[-1]: id=-1: must be a whole number, 0 or more"),
        ({"temperature": "hot"}, "temperature='hot': must be a number, 0 (greedy) or more"),
        ({"temperature": None}, "temperature=None: must be a number"),
        ({"temperature": float("inf")}, "temperature=inf: must be a number"),
        ({"cfg_scale": float("inf")}, "cfg_scale=inf: must be a number, 0 (off) or more"),
        ({"cfg_scale": "1"}, "cfg_scale='1': must be a number"),
        ({"generation_suffix": 5}, "generation_suffix=5: must be a list of token ids"),
        ({"generation_suffix": [0.5]}, "generation_suffix=[0.5]: id=0.5: must be a whole"),
        ({"stopping_criteria": [[]]}, "stopping_criteria=[[]]: an empty stop"),
        ({"stopping_criteria": [""]}, "stopping_criteria=['']: an empty stop"),
        ({"stopping_criteria": [["a"]]}, "stopping_criteria=['a']: id='a': must be a whole"),
        ({"stopping_criteria": 7}, "stopping_criteria=7: give a list of strings"),
        ({"append_eot": "x"}, "append_eot='x': must be True or False"),
        ({"commit_ineligible": 1}, "commit_ineligible=1: must be True or False"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        GenerateSettings(**options)
    assert message in str(caught.value)


def test_settings_are_made_plain() -> None:
    options: dict[str, Any] = {
        "gen_length": np.int64(8),
        "block_length": np.int32(8),
        "steps": np.uint8(4),
        "temperature": np.float32(0.5),
        "cfg_scale": 1,
        "seed": np.int64(3),
        "mask_id": np.int64(9),
        "forbidden_ids": np.array([1, 2]),
        "stopping_criteria": ["a", [np.int64(3)], torch.tensor([4, 5])],
        "generation_suffix": np.array([6]),
    }
    own = GenerateSettings(**options)
    plain = asdict(own)
    assert json.loads(json.dumps(plain)) == {
        **asdict(GenerateSettings()),
        "gen_length": 8,
        "block_length": 8,
        "steps": 4,
        "temperature": 0.5,
        "cfg_scale": 1.0,
        "seed": 3,
        "mask_id": 9,
        "forbidden_ids": [1, 2],
        "stopping_criteria": ["a", [3], [4, 5]],
        "generation_suffix": [6],
    }
    assert hash(own) == hash(GenerateSettings(**plain))


def test_no_stops_as_published() -> None:
    assert GenerateSettings(stopping_criteria=None) == GenerateSettings()  # type: ignore[arg-type]


def test_every_seed_is_taken(model: Model) -> None:
    """From end to end of their range: another draw each, and the same one again."""
    request = fake_request(model)

    def sampled(seed: int) -> tuple[int, ...]:
        shape = {"gen_length": 16, "block_length": 16, "steps": 4}
        return model.generate(inputs=request, temperature=1.0, seed=seed, **shape).tokens

    seeds = (0, 1, 2**64 - 1)
    answers = [sampled(seed) for seed in seeds]
    assert len(set(answers)) == len(seeds)
    assert [sampled(seed) for seed in seeds] == answers


@pytest.mark.parametrize("name", ["forbidden_ids", "generation_suffix"])
@pytest.mark.parametrize("given", [[64], [3, 9999]])
def test_ids_outside_the_vocabulary(name: str, given: list[int], model: Model) -> None:
    with pytest.raises(ValueError, match=f"{name}={given[-1]} is outside the vocabulary of 64"):
        model.generate(inputs=fake_request(model), **{name: given}, **SHAPE)


def test_the_backbones_own_forbidden_ids_may_be_cut_off() -> None:
    model = tiny_model(vocab=min(FORBIDDEN))
    assert model.generate(inputs=fake_request(model), mask_id=0, **SHAPE).trace.forwards == 2


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({}, (128, 128, 128)),
        ({"gen_length": 32}, (32, 32, 128)),
        ({"gen_length": 32, "steps": 16}, (32, 32, 16)),
        ({"gen_length": 256}, (256, 256, 128)),
        ({"gen_length": 1, "steps": 1}, (1, 1, 1)),
        ({"block_length": 32}, (128, 32, 128)),
        ({"gen_length": 96, "block_length": 32}, (96, 32, 129)),
        ({"gen_length": 64, "block_length": None, "steps": None}, (64, 64, 128)),
    ],
    ids=str,
)
def test_one_block_unless_its_length_is_given(
    options: dict[str, Any], lengths: tuple[int, int, int]
) -> None:
    own = GenerateSettings.from_options(options)
    assert (own.gen_length, own.block_length, own.steps) == lengths


def test_an_answer_of_default_steps_is_not_longer_than_it_has_tokens(model: Model) -> None:
    assert model.generate(inputs=fake_request(model), gen_length=6).trace.forwards == 6
