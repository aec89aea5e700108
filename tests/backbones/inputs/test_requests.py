"""Requests: questions and pictures in every form, and the message for what is not a request."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.backbones import Model
from saccade.backbones.inputs.pictures import Picture, image_picture
from saccade.backbones.inputs.pictures import encoded as encode
from saccade.backbones.inputs.prepare import splice
from saccade.controller import CapabilityError
from saccade.controller.types import PROMPT, VISUAL
from tests.tiny import MASK, SIDE, fake_page, fake_request, tiny_model

SHAPE: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}


@pytest.mark.parametrize("question", ["", "  \n", None, 3])
def test_an_empty_question(question: Any, speaking: Model) -> None:
    with pytest.raises(ValueError, match="the question is empty"):
        speaking.prepare(question)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([None], r"images\[0\] is of type NoneType; give a PIL image, a path"),
        ([3], r"images\[0\] is of type int"),
        ([fake_page(), b"page"], r"images\[1\] is of type bytes"),
        ([[fake_page()]], r"images\[0\] is a list: one prompt .*\[image\], not \[\[image\]\]"),
        ([[]], r"images\[0\] is a list: one prompt"),
        ([(fake_page(), fake_page())], r"images\[0\] is a tuple: one prompt"),
    ],
)
def test_wrong_images(images: Any, message: str, speaking: Model) -> None:
    with pytest.raises(TypeError, match=message):
        speaking.generate("What?", images, **SHAPE)
    with pytest.raises(TypeError, match=message):
        speaking.generate(["What?"], [images], **SHAPE)
    with pytest.raises(TypeError, match=message):
        speaking.prepare_ids([1, -200], images)
    with pytest.raises(TypeError, match=message):
        speaking.prepare("What?", images)


@pytest.mark.parametrize(
    "single",
    [
        fake_page(),
        "page.png",
        Path("page.png"),
        b"page",
        np.zeros((8, 8, 3), np.uint8),
        torch.zeros(8, 8),
        {"image": fake_page()},
        {"page.png"},
        3,
    ],
    ids=lambda single: type(single).__name__,
)
def test_a_picture_that_is_not_in_a_list(single: Any, speaking: Model) -> None:
    generate: Any = speaking.generate
    with pytest.raises(TypeError, match=r"images must be a list of pictures: write \[image\], not"):
        generate("What?", single, **SHAPE)
    with pytest.raises(TypeError, match=r"images must be a list of pictures: write \[image\], not"):
        speaking.prepare("What?", single)
    with pytest.raises(TypeError, match=r"images must be a list of pictures: write \[image\], not"):
        speaking.prepare_ids([1, -200], single)
    with pytest.raises(TypeError, match=r"images\[0\] is of type .*write \[\[image\], \.\.\.\]"):
        generate(["What?"], [single], **SHAPE)


@pytest.mark.parametrize(
    ("text", "n_images", "places"),
    [
        ("<image>\nWhat?", 0, 1),
        ("<image> or <image> or <image>?", 1, 3),
        ("<image> or <image>?", 1, 2),
        ("<image><image><image>", 2, 3),
    ],
)
def test_placeholders_must_fit(text: str, n_images: int, places: int, speaking: Model) -> None:
    message = f"{places} image placeholders but {n_images} images"
    with pytest.raises(ValueError, match=message):
        speaking.generate(text, [fake_page()] * n_images, **SHAPE)
    with pytest.raises(ValueError, match=message):
        speaking.prepare(text, [fake_page()] * n_images)
    with pytest.raises(ValueError, match=message):
        speaking.generate(["What?", text], [[], [fake_page()] * n_images], **SHAPE)


def test_a_video_has_one_placeholder(speaking: Model) -> None:
    video = np.zeros((2, 8, 8, 3), np.uint8)
    assert speaking.prepare("<image>\nWhat?", video=video).views == 2
    with pytest.raises(ValueError, match="2 image placeholders but 1 images"):
        speaking.prepare("<image> <image>\nWhat?", video=video)


@pytest.mark.parametrize("text", ["\ud800", "What is \udc00?", "\ud83d and \ude00"])
def test_texts_that_are_not_unicode(text: str, speaking: Model) -> None:
    with pytest.raises(ValueError, match=r"the question is not valid Unicode: '.u.*' at place"):
        speaking.generate(text, [fake_page()], **SHAPE)
    with pytest.raises(ValueError, match=r"the text is not valid Unicode"):
        speaking.generate("What?", stopping_criteria=[text], **SHAPE)
    assert speaking.prepare("\U0001f600?")


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
    model: Model,
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
    assert len(out.centers) == len(visual) and out.views == 2
    text = out.embeds[out.segments.kinds == PROMPT]
    table = model.network.model.embed_tokens.weight
    assert torch.equal(text, table[[token for token in ids if token != -200]])
    assert model.generate(inputs=out, **SHAPE).trace.n_visual == len(visual)


@torch.inference_mode()
def encoded(model: Model, page: Image.Image) -> torch.Tensor:
    """What a page becomes when another one is in the request."""
    padded = replace(model.preprocessor, aspect="pad").image(page)
    return encode(model.network, image_picture(model.network, padded, None)).features


def test_several_pictures_in_any_resolution_on_request(speaking: Model) -> None:
    pages, ids = [fake_page(), fake_page(20, 50, seed=1)], [1, -200, 2, -200, 3]
    alone = [speaking.prepare_ids([-200], [page]) for page in pages]
    padded = speaking.prepare_ids(ids, pages)
    assert len(padded.visual_positions) == 2 * SIDE**2 and padded.views == 2
    whole = speaking.prepare_ids(ids, pages, multi_image_pad=False)
    for number, single in enumerate(alone):
        assert torch.equal(whole.embeds[whole.images == number], single.embeds)
    assert torch.equal(
        whole.centers.nan_to_num(-1), torch.cat([a.centers for a in alone]).nan_to_num(-1)
    )
    asked = speaking.prepare("Which?", pages, multi_image_pad=False)
    assert torch.equal(asked.embeds[asked.visual_positions], whole.embeds[whole.visual_positions])


def test_where_the_tokens_of_padded_pictures_lie() -> None:
    """Several pictures are padded, also by a model that squashes a single one."""
    square, pad = tiny_model(aspect="square"), tiny_model(aspect="pad")
    pages = [fake_page(40, 20), fake_page(20, 40)]
    wanted = pad.prepare_ids([-200, -200], pages).centers
    assert bool(wanted.isnan().any())
    given = square.prepare_ids([-200, -200], pages).centers
    assert torch.equal(given.nan_to_num(-1), wanted.nan_to_num(-1))
    assert not bool(square.prepare_ids([-200], pages[:1]).centers.isnan().any())


@pytest.mark.parametrize("size_wh", [(500, 3), (3, 500), (2000, 2), (1, 1)])
def test_a_thin_page_is_read(size_wh: tuple[int, int], model: Model) -> None:
    request = model.prepare_ids([1, -200, 2], [fake_page(*size_wh)])
    assert len(request.visual_positions) >= SIDE**2
    assert len(model.generate(inputs=request, **SHAPE).tokens) == SHAPE["gen_length"]


def test_padding_tokens_are_taken_out_of_a_question_with_pictures(speaking: Model) -> None:
    plain = speaking.prepare("What is it?", [fake_page()])
    padded = speaking.prepare("What<|endoftext|> is it?<|endoftext|>", [fake_page()])
    assert torch.equal(padded.embeds, plain.embeds)
    assert len(speaking.prepare("What<|endoftext|>?")) == len(speaking.prepare("What?")) + 1
    (pad,) = speaking.processor.encode("<|endoftext|>")
    assert len(speaking.prepare_ids([1, pad, 2])) == 3


def test_what_does_not_go_together(speaking: Model) -> None:
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


def test_text_needs_a_tokenizer(model: Model) -> None:
    with pytest.raises(CapabilityError, match=r"no tokenizer: use prepare_ids"):
        model.generate("What?", **SHAPE)
    with pytest.raises(CapabilityError, match="token ids for stops"):
        model.generate(inputs=fake_request(model), stopping_criteria=["\n"], **SHAPE)
    assert model.generate(inputs=fake_request(model), **SHAPE).text is None


@pytest.mark.parametrize("token", [64, -1, -199])
def test_an_id_outside_the_vocabulary(token: int, model: Model) -> None:
    with pytest.raises(ValueError, match=f"token id {token} .* vocabulary of 64"):
        model.prepare_ids([1, token, 2])


def test_splicing_puts_each_token_in_its_place(model: Model) -> None:
    a, b = torch.full((2, 32), 1.0), torch.full((3, 32), 2.0)
    pictures = [Picture(a, torch.zeros(2, 2), 1), Picture(b, torch.ones(3, 2), 4)]
    out = splice(model.network, [7, -200, 8, 9, -200], pictures)
    table = model.network.model.embed_tokens.weight
    wanted = torch.cat([table[[7]], a, table[[8, 9]], b])
    assert torch.equal(out.embeds, wanted) and out.views == 5
    kinds = [PROMPT, VISUAL, VISUAL, PROMPT, PROMPT, VISUAL, VISUAL, VISUAL]
    assert out.segments.kinds.tolist() == kinds
    assert out.images.tolist() == [-1, 0, 0, -1, -1, 1, 1, 1]
    assert out.centers.tolist() == [[0, 0]] * 2 + [[1, 1]] * 3


@pytest.mark.parametrize("limit", [3, 10, 30])
def test_a_long_prompt_is_cut_from_the_right(limit: int, model: Model) -> None:
    ids, page = [1, 2, 3, 4, 5, -200, 6, 7, 8], fake_page(16, 16)
    whole = model.prepare_ids(ids, [page])
    short = tiny_model(max_length=limit)
    cut = short.prepare_ids(ids, [page])
    assert len(cut) == len(cut.segments) == limit < len(whole)
    assert torch.equal(cut.embeds, whole.embeds[:limit])
    n = min(max(limit - 5, 0), len(whole.visual_positions))
    assert len(cut.visual_positions) == len(cut.centers) == n
    assert short.generate(inputs=cut, **SHAPE).trace.n_visual == n


@pytest.mark.parametrize(
    ("aspect", "n_visual", "views"), [("square", 16, 1), ("pad", 16, 1), ("anyres_max_2", 46, 5)]
)
def test_views_of_a_page(aspect: str, n_visual: int, views: int) -> None:
    request = fake_request(tiny_model(aspect=aspect), [(30, 40)])
    assert request.views == views and len(request.visual_positions) == n_visual
    assert request.centers.shape == (n_visual, 2)


def test_a_video(speaking: Model) -> None:
    video = np.random.default_rng(0).integers(0, 256, (3, 12, 20, 3), dtype=np.uint8)
    request = speaking.prepare("What happens?", video=video)
    pooled = SIDE // 2
    assert request.views == 3 and len(request.visual_positions) == 3 * pooled * (pooled + 1)
    assert request.images.max() == 0
    assert speaking.generate("What happens?", video=video, **SHAPE).trace.n_visual == 18


def test_masks_in_the_prompt_are_read_not_filled(model: Model) -> None:
    out = model.generate(inputs=model.prepare_ids([1, MASK, 2]), **SHAPE)
    assert out.trace.forwards == SHAPE["steps"] and len(out.tokens) == SHAPE["gen_length"]


def test_no_images_may_be_none(speaking: Model) -> None:
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
)
def test_requests_of_another_kind(
    arguments: Any, options: dict[str, Any], message: str, speaking: Model
) -> None:
    generate: Any = speaking.generate
    with pytest.raises(TypeError, match=message):
        generate(*arguments, **options, **SHAPE)


@pytest.mark.parametrize(
    "how",
    [{"think_mode": "think"}, {"drop_after_image": False}, {"multi_image_pad": False}],
    ids=str,
)
def test_inputs_are_prepared_already(how: dict[str, Any], speaking: Model) -> None:
    generate: Any = speaking.generate
    with pytest.raises(ValueError, match=r"give think_mode, .* to prepare\(\): inputs are made"):
        generate(inputs=speaking.prepare("What?"), **how, **SHAPE)
    with pytest.raises(ValueError, match="not both"):
        generate(inputs=speaking.prepare("What?"), images=fake_page(), **SHAPE)


def test_generate_prepares_as_it_is_told(speaking: Model) -> None:
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
