"""What goes into generate: settings and requests, and the message for each wrong one."""

import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.backbones import DiffusionModel, GenerateSettings
from saccade.backbones.prepare import Picture, encode_image, splice
from saccade.controller import CapabilityError
from saccade.controller.types import PROMPT, VISUAL
from tests.tiny import MASK, SIDE, fake_page, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


@pytest.fixture(scope="module")
def model() -> DiffusionModel:
    return tiny_model()


@pytest.fixture(scope="module")
def speaking() -> DiffusionModel:
    return tiny_model(tokenizer=True)


# --- settings ---------------------------------------------------------------------------------


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
        ({"remasking": "entropy"}, "remasking='entropy'", "low_confidence, random"),
        ({"stopping_criteria": "\n"}, r"stopping_criteria='\n'", r"['\n']"),
        ({"stopping_criteria": [3]}, "stopping_criteria=[3]", "lists of token ids"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    options: dict[str, Any], given: str, allowed: str, model: DiffusionModel
) -> None:
    with pytest.raises(ValueError) as caught:
        GenerateSettings(**options)
    assert given in str(caught.value) and allowed in str(caught.value)
    with pytest.raises(ValueError):
        model.generate(inputs=fake_request(model), **options)


def test_unknown_options_list_the_known(model: DiffusionModel) -> None:
    with pytest.raises(TypeError, match="refix_lm") as caught:
        model.generate(inputs=fake_request(model), refix_lm=True)
    assert all(field.name in str(caught.value) for field in fields(GenerateSettings))


@pytest.mark.parametrize("mask_id", [-1, 64, 126336])
def test_a_mask_outside_the_vocabulary(mask_id: int, model: DiffusionModel) -> None:
    with pytest.raises(ValueError, match=f"mask_id={mask_id} .* vocabulary of 64"):
        model.generate(inputs=fake_request(model), mask_id=mask_id, **SHAPE)


def test_forbidden_ids_are_never_predicted(model: DiffusionModel) -> None:
    request = fake_request(model)
    free = model.generate(inputs=request, forbidden_ids=(), **SHAPE).tokens
    out = model.generate(inputs=request, forbidden_ids=sorted(set(free)), **SHAPE).tokens
    assert not set(free) & set(out)
    assert not set(model.generate(inputs=request, **SHAPE).tokens) & set(model.spec.forbidden_ids)


def test_a_suffix_is_seen_and_returned(model: DiffusionModel) -> None:
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


def test_stops_as_text(speaking: DiffusionModel) -> None:
    request, (x,) = speaking.prepare("What?", [fake_page()]), speaking.processor.encode("x")
    others = [i for i in range(speaking.spec.geometry.vocab) if i != x]
    options = {**SHAPE, "inputs": request, "forbidden_ids": others}
    assert speaking.generate(**options).text == "xxxx"
    assert speaking.generate(stopping_criteria=["y", "xxxxx"], **options).text == "xxxx"
    for stop in ("x", "xx", [x, x, x]):
        out = speaking.generate(stopping_criteria=[stop], **options)
        assert out.tokens == () and out.text == ""


def test_the_end_of_turn_stops_unless_told_otherwise(speaking: DiffusionModel) -> None:
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


# --- requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", "  \n", None, 3])
def test_an_empty_question(question: Any, speaking: DiffusionModel) -> None:
    with pytest.raises(ValueError, match="the question is empty"):
        speaking.prepare(question)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["page.png"], "PIL images, not str"),
        ([np.zeros((8, 8, 3), np.uint8)], "PIL images, not ndarray"),
        ([torch.zeros(3, 8, 8)], "PIL images, not Tensor"),
        ([None], "PIL images, not NoneType"),
        (fake_page(), r"a list of PIL images: write \[image\]"),
    ],
)
def test_wrong_images(images: Any, message: str, speaking: DiffusionModel) -> None:
    with pytest.raises(TypeError, match=message):
        speaking.generate("What?", images, **SHAPE)
    with pytest.raises(TypeError, match=message):
        speaking.generate(["What?"], [images], **SHAPE)
    with pytest.raises(TypeError, match=message):
        speaking.prepare_ids([1, -200], images)


@pytest.mark.parametrize(
    ("text", "n_images", "places"),
    [("<image>\nWhat?", 0, 1), ("<image> or <image> or <image>?", 1, 3)],
)
def test_placeholders_must_fit(
    text: str, n_images: int, places: int, speaking: DiffusionModel
) -> None:
    message = f"{places} image placeholders but {n_images} images"
    with pytest.raises(ValueError, match=message):
        speaking.generate(text, [fake_page()] * n_images, **SHAPE)


@pytest.mark.parametrize(
    ("ids", "seen", "said"),
    [
        ([1, -200, 2, -200, 3, -200, 4], [0, 1, 1], "3 .* but 2 .*: the last one is shown again"),
        ([1, -200, 2], [0], "1 .* but 2 .*: only the first are used"),
        ([1, 2], [], "0 .* but 2 .*: only the text is used"),
    ],
)
def test_placeholders_that_nearly_fit_as_published(
    ids: list[int],
    seen: list[int],
    said: str,
    model: DiffusionModel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages = [fake_page(), fake_page(seed=1)]
    alone = [encoded(model, page) for page in pages]
    out = model.prepare_ids(ids, pages)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and re.search(said, record.message)
    shown = [alone[i] for i in seen]
    visual = torch.as_tensor(out.visual_positions)
    assert torch.equal(out.embeds[visual], torch.cat([torch.zeros(0, 32), *shown]))
    assert len(out.centres) == len(visual) and out.views == 2
    text = out.embeds[out.segments.kinds == PROMPT]
    table = model.network.model.embed_tokens.weight
    assert torch.equal(text, table[[token for token in ids if token != -200]])
    assert model.generate(inputs=out, **SHAPE).trace.n_visual == len(visual)


@torch.inference_mode()
def encoded(model: DiffusionModel, page: Image.Image) -> torch.Tensor:
    """What a page becomes when another one is in the request."""
    padded = replace(model.preprocessor, aspect="pad").image(page)
    return encode_image(model.network, padded, None).features


def test_several_pictures_in_any_resolution_on_request(speaking: DiffusionModel) -> None:
    pages, ids = [fake_page(), fake_page(20, 50, seed=1)], [1, -200, 2, -200, 3]
    alone = [speaking.prepare_ids([-200], [page]) for page in pages]
    padded = speaking.prepare_ids(ids, pages)
    assert len(padded.visual_positions) == 2 * SIDE**2 and padded.views == 2
    whole = speaking.prepare_ids(ids, pages, multi_image_pad=False)
    for number, single in enumerate(alone):
        assert torch.equal(whole.embeds[whole.images == number], single.embeds)
    assert torch.equal(
        whole.centres.nan_to_num(-1), torch.cat([a.centres for a in alone]).nan_to_num(-1)
    )
    asked = speaking.prepare("Which?", pages, multi_image_pad=False)
    assert torch.equal(asked.embeds[asked.visual_positions], whole.embeds[whole.visual_positions])


def test_where_the_tokens_of_padded_pictures_lie() -> None:
    """Several pictures are padded, also by a model that squashes a single one."""
    square, pad = tiny_model(aspect="square"), tiny_model(aspect="pad")
    pages = [fake_page(40, 20), fake_page(20, 40)]
    wanted = pad.prepare_ids([-200, -200], pages).centres
    assert bool(wanted.isnan().any())
    given = square.prepare_ids([-200, -200], pages).centres
    assert torch.equal(given.nan_to_num(-1), wanted.nan_to_num(-1))
    assert not bool(square.prepare_ids([-200], pages[:1]).centres.isnan().any())


@pytest.mark.parametrize("size_wh", [(500, 3), (3, 500), (2000, 2), (1, 1)])
def test_a_thin_page_is_read(size_wh: tuple[int, int], model: DiffusionModel) -> None:
    request = model.prepare_ids([1, -200, 2], [fake_page(*size_wh)])
    assert len(request.visual_positions) >= SIDE**2
    assert len(model.generate(inputs=request, **SHAPE).tokens) == SHAPE["gen_length"]


def test_padding_tokens_are_taken_out_of_a_question_with_pictures(speaking: DiffusionModel) -> None:
    plain = speaking.prepare("What is it?", [fake_page()])
    padded = speaking.prepare("What<|endoftext|> is it?<|endoftext|>", [fake_page()])
    assert torch.equal(padded.embeds, plain.embeds)
    assert len(speaking.prepare("What<|endoftext|>?")) == len(speaking.prepare("What?")) + 1
    (pad,) = speaking.processor.encode("<|endoftext|>")
    assert len(speaking.prepare_ids([1, pad, 2])) == 3


def test_what_does_not_go_together(speaking: DiffusionModel) -> None:
    video, request = np.zeros((2, 8, 8, 3), np.uint8), speaking.prepare("What?")
    calls: list[tuple[str, Any, dict[str, Any]]] = [
        ("images or a video", ("What?", [fake_page()]), {"video": video}),
        ("a single prompt", (["What?", "Who?"],), {"video": video}),
        ("2 prompts but 1 lists of images", (["What?", "Who?"], [[fake_page()]]), {}),
        ("give a prompt", (), {}),
        ("not both", ("What?",), {"inputs": request}),
        ("not both", (), {"inputs": request, "images": [fake_page()]}),
        ("not both", (), {"inputs": request, "video": video}),
    ]
    with pytest.raises(ValueError, match="images or a video"):
        speaking.prepare_ids([1, -200], [fake_page()], video=video)
    generate: Any = speaking.generate
    for message, arguments, options in calls:
        with pytest.raises(ValueError, match=message):
            generate(*arguments, **options, **SHAPE)


def test_text_needs_a_tokenizer(model: DiffusionModel) -> None:
    with pytest.raises(CapabilityError, match=r"no tokenizer\.json: use prepare_ids"):
        model.generate("What?", **SHAPE)
    with pytest.raises(CapabilityError, match="token ids for stops"):
        model.generate(inputs=fake_request(model), stopping_criteria=["\n"], **SHAPE)
    assert model.generate(inputs=fake_request(model), **SHAPE).text is None


@pytest.mark.parametrize("token", [64, -1, -199])
def test_an_id_outside_the_vocabulary(token: int, model: DiffusionModel) -> None:
    with pytest.raises(ValueError, match=f"token id {token} .* vocabulary of 64"):
        model.prepare_ids([1, token, 2])


def test_splicing_puts_each_token_in_its_place(model: DiffusionModel) -> None:
    a, b = torch.full((2, 32), 1.0), torch.full((3, 32), 2.0)
    pictures = [Picture(a, torch.zeros(2, 2), 1), Picture(b, torch.ones(3, 2), 4)]
    out = splice(model.network, [7, -200, 8, 9, -200], pictures)
    table = model.network.model.embed_tokens.weight
    wanted = torch.cat([table[[7]], a, table[[8, 9]], b])
    assert torch.equal(out.embeds, wanted) and out.views == 5
    kinds = [PROMPT, VISUAL, VISUAL, PROMPT, PROMPT, VISUAL, VISUAL, VISUAL]
    assert out.segments.kinds.tolist() == kinds
    assert out.images.tolist() == [-1, 0, 0, -1, -1, 1, 1, 1]
    assert out.centres.tolist() == [[0, 0]] * 2 + [[1, 1]] * 3


@pytest.mark.parametrize("limit", [3, 10, 30])
def test_a_long_prompt_is_cut_from_the_right(limit: int, model: DiffusionModel) -> None:
    ids, page = [1, 2, 3, 4, 5, -200, 6, 7, 8], fake_page(16, 16)
    whole = model.prepare_ids(ids, [page])
    short = tiny_model(max_length=limit)
    cut = short.prepare_ids(ids, [page])
    assert len(cut) == len(cut.segments) == limit < len(whole)
    assert torch.equal(cut.embeds, whole.embeds[:limit])
    n = min(max(limit - 5, 0), len(whole.visual_positions))
    assert len(cut.visual_positions) == len(cut.centres) == n
    assert short.generate(inputs=cut, **SHAPE).trace.n_visual == n


@pytest.mark.parametrize(
    ("aspect", "n_visual", "views"), [("square", 16, 1), ("pad", 16, 1), ("anyres_max_2", 46, 5)]
)
def test_views_of_a_page(aspect: str, n_visual: int, views: int) -> None:
    request = fake_request(tiny_model(aspect=aspect), [(30, 40)])
    assert request.views == views and len(request.visual_positions) == n_visual
    assert request.centres.shape == (n_visual, 2)


def test_a_video(speaking: DiffusionModel) -> None:
    video = np.random.default_rng(0).integers(0, 256, (3, 12, 20, 3), dtype=np.uint8)
    request = speaking.prepare("What happens?", video=video)
    pooled = SIDE // 2
    assert request.views == 3 and len(request.visual_positions) == 3 * pooled * (pooled + 1)
    assert request.images.max() == 0
    assert speaking.generate("What happens?", video=video, **SHAPE).trace.n_visual == 18


def test_masks_in_the_prompt_are_read_not_filled(model: DiffusionModel) -> None:
    out = model.generate(inputs=model.prepare_ids([1, MASK, 2]), **SHAPE)
    assert out.trace.forwards == SHAPE["steps"] and len(out.tokens) == SHAPE["gen_length"]
