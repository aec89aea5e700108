"""Preprocessing, packing and prompts against numbers recorded from LLaDA-V's own code."""

import hashlib
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.backbones.inputs.chat import IMAGE, encode_with_images, render_chat, render_question
from saccade.backbones.inputs.packing import pack_anyres, pack_video
from saccade.backbones.inputs.pinpoints import best_resolution, parse_pinpoints
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_centers import token_grid_anyres, token_grid_video
from saccade.backbones.network.sizes import SO400M
from tests.golden_sets import assert_near, golden_arrays, golden_json, golden_params

pytestmark = pytest.mark.golden

SET = "llada_v"
CONFIG = golden_json(SET, "checkpoint/config.json")
VISION = golden_json(SET, "checkpoint/vision_config.json")
CASES = golden_json(SET, "multimodal.json").get("images", {})
EMBEDDED = golden_arrays(SET, "multimodal.safetensors")
REAL = golden_json(SET, "preprocess_real.json")
PROCESSED = {k: v for k, v in REAL.get("processed", {}).items() if "tile_sha256" in v}
COUNTS = {k: v for k, v in REAL.get("layout", {}).items() if "grid_wh" in v}
VIDEO_COUNTS = {k: v for k, v in REAL.get("layout", {}).items() if "grid_wh" not in v}
PACKED = golden_arrays(SET, "preprocess_real.safetensors")
PROMPTS = golden_json(SET, "prompts.json").get("items", [])
NEWLINE = -9.0


@pytest.fixture(scope="module")
def tiny() -> ImagePreprocessor:
    tile = VISION["image_size"]
    pinpoints = parse_pinpoints(CONFIG["image_grid_pinpoints"], tile)
    return ImagePreprocessor(tile, pinpoints, CONFIG["image_aspect_ratio"])


@pytest.fixture(scope="module")
def real() -> ImagePreprocessor:
    """The published checkpoint's, whatever the size of the recorded tiny one."""
    tile = SO400M.image_size
    return ImagePreprocessor(tile, parse_pinpoints("(1x1),...,(6x6)", tile), "anyres_max_4")


@pytest.fixture(scope="module")
def real_side() -> int:
    """Patches along a side of a published view."""
    return SO400M.side


def sha256(array: torch.Tensor) -> str:
    return hashlib.sha256(array.contiguous().numpy().tobytes()).hexdigest()


def pictures_of_size(width: int, height: int) -> dict[str, Image.Image]:
    arrays = golden_arrays(SET, "images_tiny.npz")
    return {k: Image.fromarray(a) for k, a in arrays.items() if a.shape[:2] == (height, width)}


def assert_one_matches(got: dict[str, torch.Tensor], expected: np.ndarray) -> None:
    """Some picture of that size must match."""
    gaps = {k: float((v - torch.from_numpy(expected)).abs().max()) for k, v in got.items()}
    assert any(gap <= 1e-6 for gap in gaps.values()), gaps


def cases_with_pixels(ndim: int, image_sizes: bool) -> list[Any]:
    return golden_params(
        SET,
        [
            name
            for name, case in CASES.items()
            if f"{name}.pixel_values" in EMBEDDED
            and EMBEDDED[f"{name}.pixel_values"].ndim == ndim
            and (case.get("image_sizes") is not None) == image_sizes
        ],
    )


@pytest.mark.parametrize("name", cases_with_pixels(5, image_sizes=True))
def test_tiny_anyres_pixels(name: str, tiny: ImagePreprocessor) -> None:
    case = CASES[name]
    for size_wh, expected in zip(
        case["image_sizes"], EMBEDDED[f"{name}.pixel_values"], strict=True
    ):
        made = {k: tiny.image(image) for k, image in pictures_of_size(*size_wh).items()}
        best = best_resolution(size_wh, tiny.pinpoints)
        assert made
        assert all(m.size_wh == tuple(size_wh) for m in made.values())
        assert all(m.grid_wh == tuple(n // tiny.tile for n in best) for m in made.values())
        assert list(best) == list(case.get("best_resolution", best))
        assert_one_matches({k: m.pixels for k, m in made.items()}, expected)


@pytest.mark.parametrize("name", cases_with_pixels(4, image_sizes=True))
def test_tiny_pixels_of_several_images(name: str, tiny: ImagePreprocessor) -> None:
    sizes, recorded = CASES[name]["image_sizes"], EMBEDDED[f"{name}.pixel_values"]
    choices = [pictures_of_size(*size_wh) for size_wh in sizes]
    first = [next(iter(choice.values())) for choice in choices]
    assert [m.grid_wh for m in tiny.images(first)] == [None] * len(sizes)
    for choice, expected in zip(choices, recorded, strict=True):
        made = {k: tiny.images([image, image])[0].pixels[0] for k, image in choice.items()}
        assert_one_matches(made, expected)


@pytest.mark.parametrize("name", cases_with_pixels(4, image_sizes=False))
def test_tiny_video_pixels(name: str, tiny: ImagePreprocessor) -> None:
    clips = golden_arrays(SET, "video_tiny.npz")
    expected = EMBEDDED[f"{name}.pixel_values"]
    made = {k: tiny.video(clip) for k, clip in clips.items() if len(clip) == len(expected)}
    assert_one_matches(made, expected)


@pytest.mark.parametrize("name", golden_params(SET, PROCESSED))
def test_real_tiles(name: str, real: ImagePreprocessor) -> None:
    case, raw = PROCESSED[name], golden_arrays(SET, "images_real.npz")[name]
    assert hashlib.sha256(raw.tobytes()).hexdigest() == case["raw_sha256"]
    made = real.image(Image.fromarray(raw))
    assert best_resolution(made.size_wh, real.pinpoints) == tuple(case["best_resolution_wh"])
    assert made.grid_wh == tuple(case["grid_wh"])
    assert made.pixels.shape == (case["n_tiles_including_base"], 3, real.tile, real.tile)
    assert str(made.pixels.dtype) == f"torch.{case['pixel_dtype']}"
    assert [sha256(tile) for tile in made.pixels] == case["tile_sha256"]


@pytest.mark.parametrize(
    "case", golden_params(SET, [c for c in REAL.get("processed", {}).values() if "image" in c])
)
def test_real_pad_mode(case: dict[str, Any], real: ImagePreprocessor) -> None:
    image = Image.fromarray(golden_arrays(SET, "images_real.npz")[case["image"]])
    made, other = real.images([image, image])
    assert list(made.pixels.shape) == case["shape"]
    assert sha256(made.pixels) == sha256(other.pixels) == case["sha256"]
    alone = ImagePreprocessor(real.tile, real.pinpoints, "pad").image(image)
    assert torch.equal(alone.pixels, made.pixels)


@pytest.mark.parametrize(
    "name",
    golden_params(
        SET, [k for k, a in golden_arrays(SET, "images_real.npz").items() if a.ndim == 4]
    ),
)
def test_real_video_frames(name: str, real: ImagePreprocessor) -> None:
    case = REAL["processed"][name]
    made = real.video(golden_arrays(SET, "images_real.npz")[name])
    assert list(made.shape) == case["shape"]
    assert [sha256(frame) for frame in made] == case["sha256"]


@pytest.mark.parametrize("name", golden_params(SET, COUNTS))
def test_real_counts(name: str, real: ImagePreprocessor, real_side: int) -> None:
    case = COUNTS[name]
    width, height = map(int, name.split("x"))
    best = best_resolution((width, height), real.pinpoints)
    grid = (best[0] // real.tile, best[1] // real.tile)
    assert (best, grid) == (tuple(case["best_resolution_wh"]), tuple(case["grid_wh"]))
    assert 1 + grid[0] * grid[1] == case["n_tiles"]
    count = len(token_grid_anyres((width, height), grid, real_side, real.max_tiles))
    assert count == case["n_visual_tokens"]
    assert count == real_side**2 + case["hi_res_rows"] * (case["hi_res_cols"] + 1)


@pytest.mark.parametrize("name", golden_params(SET, VIDEO_COUNTS))
def test_real_video_counts(name: str, real_side: int) -> None:
    frames, case = int(re.sub(r"\D", "", name)), VIDEO_COUNTS[name]
    assert len(token_grid_video(frames, real_side)) == case["n_visual_tokens"]
    one = len(token_grid_video(1, real_side))
    assert one == case.get("per_frame", one)


def positions_as_features(n_views: int, side: int) -> torch.Tensor:
    """Features (V, P, 4) that say where they come from: view, row, column, 1."""
    places = torch.cartesian_prod(torch.arange(n_views), torch.arange(side), torch.arange(side))
    ones = torch.ones(len(places), 1)
    return torch.cat([places.float(), ones], dim=1).unflatten(0, (n_views, side**2))


@pytest.mark.parametrize("name", golden_params(SET, [k for k in COUNTS if f"layout.{k}" in PACKED]))
def test_real_layout(name: str, real: ImagePreprocessor, real_side: int) -> None:
    case, expected = COUNTS[name], torch.from_numpy(PACKED[f"layout.{name}"])
    width, height = map(int, name.split("x"))
    where = (width, height), tuple(case["grid_wh"])
    features = positions_as_features(case["n_tiles"], real_side)
    got = pack_anyres(features, *where, torch.full((4,), NEWLINE), real.max_tiles)
    torch.testing.assert_close(got, expected, atol=2e-6, rtol=0)
    places = token_grid_anyres(*where, real_side, real.max_tiles)
    assert torch.equal(places.isnan().any(1), (expected == NEWLINE).all(1))


@pytest.mark.parametrize(
    "name", golden_params(SET, [k for k in VIDEO_COUNTS if f"layout.{k}" in PACKED])
)
def test_real_video_layout(name: str, real_side: int) -> None:
    expected = torch.from_numpy(PACKED[f"layout.{name}"])
    frames = int(re.sub(r"\D", "", name))
    features = positions_as_features(frames, real_side)
    got = pack_video(features, torch.full((4,), NEWLINE))
    torch.testing.assert_close(got, expected, atol=2e-6, rtol=0)
    places = token_grid_video(frames, real_side)
    assert torch.equal(places.isnan().any(1), (expected == NEWLINE).all(1))


@pytest.mark.parametrize(
    "name",
    golden_params(
        SET,
        [
            name
            for name, case in CASES.items()
            if f"{name}.projected" in EMBEDDED and len(case.get("image_sizes") or ()) == 1
        ],
    ),
)
def test_packed_features_are_the_spliced_ones(name: str, tiny: ImagePreprocessor) -> None:
    case = CASES[name]
    newline = golden_arrays(SET, "checkpoint/model.safetensors")["model.image_newline"]
    projected = torch.from_numpy(EMBEDDED[f"{name}.projected"])
    (size_wh,) = case["image_sizes"]
    width, height = best_resolution(size_wh, tiny.pinpoints)
    grid = width // tiny.tile, height // tiny.tile
    got = pack_anyres(projected, size_wh, grid, torch.from_numpy(newline), tiny.max_tiles)
    (ids,) = EMBEDDED[f"{name}.input_ids"]
    (start,) = np.flatnonzero(ids < 0)
    (embedded,) = EMBEDDED[f"{name}.inputs_embeds"]
    span = torch.from_numpy(embedded[start : start + case["n_visual"]])
    assert_near(got, span, tolerance=1e-5)
    side = math.isqrt(projected.shape[1])
    assert len(token_grid_anyres(size_wh, grid, side, tiny.max_tiles)) == case["n_visual"]


@pytest.mark.parametrize("item", golden_params(SET, PROMPTS))
def test_prompt(item: dict[str, Any]) -> None:
    prompt = render_chat([("user", item["question"])])
    assert prompt == item["prompt"]
    pieces = item["fed_pieces_with_char_level_stub_tokenizer"]
    expected = [i for p in pieces for i in ([-200] if p == "<IMAGE>" else map(ord, p))]
    assert encode_with_images(prompt, lambda text: [ord(c) for c in text]) == expected


QUESTION = re.compile(
    r"(?P<images><image>(?: <image>)*)\n(?P<text>.*?)(?: /(?P<mode>think|no_think))?", re.DOTALL
)


@pytest.mark.parametrize(
    "question",
    golden_params(SET, [q["question"] for q in PROMPTS if QUESTION.fullmatch(q["question"])]),
)
def test_question(question: str) -> None:
    match = QUESTION.fullmatch(question)
    assert match
    n_images = match["images"].count(IMAGE)
    if IMAGE in match["text"]:  # a task that places its own pictures is left as it is
        assert render_question(question, n_images, match["mode"]) == question
    else:
        assert render_question(match["text"], n_images, match["mode"]) == question
