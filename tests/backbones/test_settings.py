"""Settings and arguments of generate: what is taken, and the message for what is not."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from saccade.backbones import DiffusionModel, GenerateSettings
from tests.tiny import FORBIDDEN, fake_page, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


@pytest.fixture(scope="module")
def model() -> DiffusionModel:
    return tiny_model()


@pytest.fixture(scope="module")
def speaking() -> DiffusionModel:
    return tiny_model(tokenizer=True)


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


def test_every_seed_is_taken(model: DiffusionModel) -> None:
    for seed in (0, 2**64 - 1):
        model.generate(inputs=fake_request(model), temperature=1.0, seed=seed, **SHAPE)


@pytest.mark.parametrize("name", ["forbidden_ids", "generation_suffix"])
@pytest.mark.parametrize("given", [[64], [3, 9999]])
def test_ids_outside_the_vocabulary(name: str, given: list[int], model: DiffusionModel) -> None:
    with pytest.raises(ValueError, match=f"{name}={given[-1]} is outside the vocabulary of 64"):
        model.generate(inputs=fake_request(model), **{name: given}, **SHAPE)


def test_the_backbones_own_forbidden_ids_may_be_cut_off() -> None:
    model = tiny_model(vocab=min(FORBIDDEN))
    assert model.generate(inputs=fake_request(model), mask_id=0, **SHAPE).trace.forwards == 2


# --- requests ---------------------------------------------------------------------------------


def test_no_images_may_be_none(speaking: DiffusionModel) -> None:
    wanted = speaking.generate("What?", **SHAPE).tokens
    assert speaking.generate("What?", None, **SHAPE).tokens == wanted  # type: ignore[call-overload]
    (batched,) = speaking.generate(["What?"], None, **SHAPE)  # type: ignore[call-overload]
    inputs = speaking.prepare("What?")
    given = speaking.generate(inputs=inputs, images=None, **SHAPE)  # type: ignore[call-overload]
    assert batched.tokens == given.tokens == wanted


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("What?", np.zeros((8, 8, 3), np.uint8)), {}, r"write \[image\], not ndarray"),
        (("What?", torch.zeros(3, 8, 8)), {}, r"write \[image\], not Tensor"),
        ((["What?"], fake_page()), {}, r"write \[image\], not Image"),
        (("What?", 3), {}, "not int"),
        ((3,), {}, "prompt must be a text or a list of texts, not 3"),
        ((b"What?",), {}, "prompt must be a text or a list of texts, not b'What"),
        ((["What?", None],), {}, "prompt must be a text or a list of texts"),
        (({"a": "What?"},), {}, "prompt must be a text or a list of texts"),
        ((), {"inputs": 3}, "inputs must be what prepare.. makes, or a list of it, not 3"),
        ((), {"inputs": "What?"}, "inputs must be what prepare.. makes"),
        ((), {"inputs": [None]}, "inputs must be what prepare.. makes, or a list of it, not None"),
    ],
    ids=str,
)
def test_requests_of_another_kind(
    arguments: Any, options: dict[str, Any], message: str, speaking: DiffusionModel
) -> None:
    generate: Any = speaking.generate
    with pytest.raises(TypeError, match=message):
        generate(*arguments, **options, **SHAPE)


@pytest.mark.parametrize(
    "how",
    [{"think_mode": "think"}, {"drop_after_image": False}, {"multi_image_pad": False}],
    ids=str,
)
def test_inputs_are_prepared_already(how: dict[str, Any], speaking: DiffusionModel) -> None:
    generate: Any = speaking.generate
    with pytest.raises(ValueError, match=r"give think_mode, .* to prepare\(\): inputs are made"):
        generate(inputs=speaking.prepare("What?"), **how, **SHAPE)
    with pytest.raises(ValueError, match="not both"):
        generate(inputs=speaking.prepare("What?"), images=fake_page(), **SHAPE)


def test_generate_prepares_as_it_is_told(speaking: DiffusionModel) -> None:
    pages = [fake_page(), fake_page(60, 20)]
    for how in ({"multi_image_pad": False}, {"drop_after_image": False}, {"think_mode": "think"}):
        options: dict[str, Any] = how
        inputs = speaking.prepare("What?", pages, **options)
        plain = speaking.prepare("What?", pages)
        out = speaking.generate("What?", pages, **options, **SHAPE)
        wanted = speaking.generate(inputs=inputs, **SHAPE)
        rows = [each.trace.steps[0].rows_per_layer for each in (out, wanted)]
        assert out.tokens == wanted.tokens and rows[0] == rows[1]
        assert len(inputs) != len(plain)
