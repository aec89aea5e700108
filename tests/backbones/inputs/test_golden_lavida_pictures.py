"""LaViDa-Dream's recorded pictures and prompts: tiles, canvases, maps, counts, ids, embeddings."""

import hashlib
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.backbones.inputs.packing import pack_anyres, pool_2d
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_centers import token_grid_anyres
from tests.backbones.decoding.golden_lavida import SET, arrays, model, model_with_words, prompts
from tests.golden_sets import FILES, assert_near, golden_json, golden_params, golden_set

pytestmark = pytest.mark.golden
SIDE = 27
close = partial(assert_near, tolerance=1e-4)


def meta(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = golden_json(SET, "preprocess_meta.json").get(name, [])
    return found


def preprocessor(mode: str = "anyres") -> ImagePreprocessor:
    own = model().preprocessor
    return own if mode == "anyres" else replace(own, aspect=mode)


def in_bytes(pixels: torch.Tensor) -> np.ndarray[Any, Any]:
    return ((pixels + 1) * 127.5).round().to(torch.uint8).numpy()


@cache
def pillow_chooses_the_order() -> bool:
    """Whether the installed Pillow may resize columns before rows: those until 11.3 never do."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    rows_first = image.resize((290, 400)).resize((290, 20))
    return image.resize((290, 20)).tobytes() != rows_first.tobytes()


@pytest.mark.parametrize("file", golden_params(SET, FILES[SET] if golden_set(SET) else ()))
def test_the_set_is_whole(file: str) -> None:
    folder = golden_set(SET)
    assert folder is not None and (folder / file).is_file()


@pytest.mark.parametrize("case", golden_params(SET, meta("preprocess")))
def test_views_are_the_recorded_bytes(case: dict[str, Any]) -> None:
    key, stored = case["key"], arrays("preprocess.npz")
    image = Image.fromarray(stored[f"raw_{key.removeprefix('pad_')}"].numpy())
    made = preprocessor(case.get("mode", "anyres")).image(image)
    views = in_bytes(made.pixels)
    assert len(views) == case["views"]
    if made.grid_wh is not None:
        assert list(made.grid_wh) == case["grid_wh"]
        assert [n * preprocessor().tile for n in made.grid_wh] == case["best_resolution_wh"]
    if f"sample_u8_{key}" in stored:
        index = stored[f"sample_idx_{key}"].numpy()
        sampled = np.stack([view.reshape(-1)[index] for view in views])
        apart = np.abs(sampled.astype(int) - stored[f"sample_u8_{key}"].numpy())
        assert apart.max() <= (0 if pillow_chooses_the_order() else 2)
    hashes = [hashlib.sha256(view.tobytes()).hexdigest() for view in views]
    if hashes != case["tile_sha256"] and not pillow_chooses_the_order():
        pytest.skip("recorded with a Pillow that resizes columns first where that is faster")
    assert hashes == case["tile_sha256"]


def map_names() -> list[str]:
    return sorted(arrays("merge_maps.npz")) if golden_set(SET) else []


@pytest.mark.parametrize("name", golden_params(SET, map_names()))
def test_tokens_come_from_the_recorded_places(name: str) -> None:
    width, height = (int(n) for n in name.removeprefix("map_").split("x"))
    grid = preprocessor().image(Image.new("RGB", (width, height))).grid_wh
    assert grid is not None
    views = torch.arange(1 + grid[0] * grid[1], dtype=torch.float32)
    line = torch.arange(SIDE, dtype=torch.float32)
    places = torch.cartesian_prod(views, line, line).unflatten(0, (len(views), SIDE * SIDE))
    packed = pack_anyres(pool_2d(places), (width, height), grid, torch.full((3,), -1.0), None)
    torch.testing.assert_close(packed, arrays("merge_maps.npz")[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", golden_params(SET, map_names()))
def test_centres_are_those_of_the_recorded_places(name: str) -> None:
    """Patch (row, column) of a view is 14 pixels a side; tiles lie on the canvas, the base over
    the whole image."""
    width, height = (int(n) for n in name.removeprefix("map_").split("x"))
    own = preprocessor()
    grid, tower = own.image(Image.new("RGB", (width, height))).grid_wh, model().network.tower
    assert grid is not None
    view, row, column = arrays("merge_maps.npz")[name].unbind(1)
    view = view.round()  # recorded after an interpolation
    patch, tile = tower.patch_size, own.tile
    canvas, size = torch.tensor(grid) * tile, torch.tensor([width, height])
    fitted = size * min(canvas / size)
    inside = (torch.stack([column, row], 1) + 0.5) * patch
    number = (view - 1).clamp(min=0)
    corner = torch.stack([number % grid[0], number // grid[0]], 1) * tile
    tiles = (corner + inside - (canvas - fitted) / 2) / fitted
    wanted = torch.where(view[:, None] == 0, inside / tile, tiles).clamp(0, 1)
    wanted[view < 0] = torch.nan
    coverage = tower.side * patch / tile
    made = token_grid_anyres((width, height), grid, tower.side, None, coverage, pooled=True)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("case", golden_params(SET, meta("visual_token_counts")))
def test_pictures_have_the_recorded_number_of_tokens(case: dict[str, Any]) -> None:
    image = preprocessor().image(Image.new("RGB", tuple(case["size_wh"])))
    assert image.grid_wh is not None and list(image.grid_wh) == case["grid_wh"]
    features = torch.zeros(len(image.pixels), SIDE**2, 1)
    packed = pack_anyres(pool_2d(features), image.size_wh, image.grid_wh, torch.ones(1), None)
    assert (len(features), len(packed)) == (case["views"], case["visual_tokens"])
    assert int(packed.sum()) == case["newline_tokens"]


SEVERAL = {
    "stacked": ([(64, 48), (48, 64)], True),
    "python list": ([(64, 48), (48, 64)], "list"),
    "640x480 + 336x336": ([(640, 480), (336, 336)], False),
}


@pytest.mark.parametrize("words", golden_params(SET, SEVERAL if golden_set(SET) else ()))
def test_several_pictures_have_the_recorded_number_of_tokens(words: str) -> None:
    counts: dict[str, int] = golden_json(SET, "preprocess_meta.json")["special_token_counts"]
    found = [n for name, n in counts.items() if words in name]
    if not found:
        pytest.skip("the set has no such count")
    sizes, how = SEVERAL[words]
    images = [Image.new("RGB", size) for size in sizes]
    made = model().prepare_ids([1, -200, -200, 2], images, multi_image_pad=how)
    assert len(made.segments.visual) == len(made.centers) == found[0]


@pytest.mark.parametrize("name", golden_params(SET, prompts()))
def test_prompts_have_the_recorded_ids(name: str) -> None:
    stored, own = prompts()[name], model_with_words()
    n = stored["input_ids"].count(-200)
    images = [Image.new("RGB", (20, 20))] * n
    question = stored["question"].removeprefix("<image>\n").removeprefix("<image> <image>\n")
    made = own.prepare(question, images)
    wanted = own.prepare_ids(stored["input_ids"], images)
    assert torch.equal(made.embeds, wanted.embeds) and torch.equal(made.images, wanted.images)
    text = [token for token in stored["input_ids"] if token != -200]
    with torch.inference_mode():
        embedded = own.network.model.embed_tokens(torch.tensor(text))
    assert torch.equal(made.embeds[made.segments.prompt], embedded)
    assert own.tokenizer is not None
    assert own.tokenizer.get_vocab_size() == golden_json(SET, "prompts.json")["len_tokenizer"]


@pytest.mark.parametrize("source", golden_params(SET, ["mm"] if golden_set(SET) else ()))
@torch.inference_mode()
def test_a_picture_becomes_the_recorded_embeddings(source: str) -> None:
    stored, network = arrays("mm_forward.npz"), model().network
    image = Image.fromarray(stored["image_raw"].numpy())
    views = model().preprocessor.image(image).pixels
    assert np.array_equal(in_bytes(views), stored["tiles_u8"].numpy())
    features = network.model.vision_tower(views)
    close(features[0], stored["vision_feat_view0"])
    close(features.mean((1, 2)), stored["vision_feat_mean_per_view"])
    projected = network.encode_views(views)
    close(projected[0, ::7], stored["projected_view0"])
    close(pool_2d(projected), stored["pooled"])
    made = model().prepare_ids(stored["input_ids"][0].tolist(), [image])
    assert torch.equal(made.segments.visual, stored["image_pos"])
    spliced = stored["spliced_ids"][0]
    assert torch.equal(made.segments.visual, (spliced == -200).nonzero()[:, 0])
    close(made.embeds, stored["inputs_embeds"])
    newlines = made.centers.isnan().any(1)
    assert 0 < int(newlines.sum()) < len(newlines)
    assert torch.equal(made.embeds[made.segments.visual][newlines][0], network.model.image_newline)
