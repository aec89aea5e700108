import numpy as np
import pytest
import torch
from PIL import Image

from saccade.backbones.inputs.pinpoints import best_resolution, parse_pinpoints
from saccade.backbones.inputs.reading import read_picture
from saccade.backbones.inputs.tiling import (
    ImagePreprocessor,
    fit_on_canvas,
    split_tiles,
)

SIX_BY_SIX = parse_pinpoints("(1x1),...,(6x6)", 384)
SMALL = parse_pinpoints("(1x1),...,(6x6)", 8)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_pixels(rgb: np.ndarray) -> torch.Tensor:
    """The oracle of the normalisation: (H, W, 3) bytes, one operation after the other."""
    scaled = (rgb.astype(np.float64) * (1 / 255)).astype(np.float32)
    return torch.from_numpy(((scaled - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1))


def test_range_of_pinpoints_is_width_slow_height_fast() -> None:
    assert parse_pinpoints("(1x1),...,(2x3)", 10) == (
        *((10, 10), (10, 20), (10, 30)),
        *((20, 10), (20, 20), (20, 30)),
    )
    assert len(SIX_BY_SIX) == 36


def test_pinpoints_as_list_keep_their_order() -> None:
    assert parse_pinpoints([[20, 10], [10, 10]], 10) == ((20, 10), (10, 10))
    assert parse_pinpoints([list(pair) for pair in SIX_BY_SIX], 384) == SIX_BY_SIX


@pytest.mark.parametrize("value", ["", "6x6", "(1x1)...(6x6)", "(1x1),(ax6)", "[[384, 384"])
def test_unreadable_pinpoints(value: str) -> None:
    with pytest.raises(ValueError, match="pinpoints"):
        parse_pinpoints(value, 384)


@pytest.mark.parametrize("value", [[], [[0, 8]], [[8, 12]], [[-8, 8]], "(2x2),...,(1x1)", "(0x1)"])
def test_impossible_pinpoints(value: list[list[int]] | str) -> None:
    with pytest.raises(ValueError, match="canvas size"):
        parse_pinpoints(value, 8)


@pytest.mark.parametrize("value", [None, 384, [384], [[384]], [[8.0, 8]], ["ab"], [[8, 8, 8]]])
def test_pinpoints_of_another_type(value: object) -> None:
    with pytest.raises(TypeError, match="pairs of integers"):
        parse_pinpoints(value, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        ((384, 384), (384, 384)),
        ((1, 1), (384, 384)),
        ((640, 480), (768, 768)),
        ((769, 769), (1152, 1152)),
        ((1000, 100), (1152, 384)),
        ((100, 1000), (384, 1152)),
        ((9999, 9999), (2304, 2304)),
        ((1, 5000), (384, 384)),  # no canvas shows a whole pixel column: the least waste
    ],
)
def test_best_resolution(size_wh: tuple[int, int], expected: tuple[int, int]) -> None:
    assert best_resolution(size_wh, SIX_BY_SIX) == expected


def test_ties_go_to_the_earlier_canvas() -> None:
    assert best_resolution((8, 8), [(8, 16), (16, 8)]) == (8, 16)
    assert best_resolution((8, 8), [(16, 8), (8, 16)]) == (16, 8)


def test_no_canvas() -> None:
    with pytest.raises(ValueError, match="no canvas sizes"):
        best_resolution((8, 8), [])


def test_fit_centres_on_black() -> None:
    white = Image.new("RGB", (10, 4), (255, 255, 255))
    canvas = np.asarray(fit_on_canvas(white, (20, 16)))
    assert canvas.shape == (16, 20, 3)
    assert (canvas[4:12] == 255).all()
    assert (canvas[:4] == 0).all() and (canvas[12:] == 0).all()


def test_fit_rounds_the_free_side_up_and_the_offset_down() -> None:
    white = Image.new("RGB", (5, 3), (255, 255, 255))
    rows = np.asarray(fit_on_canvas(white, (8, 8)))[:, :, 0].all(axis=1)
    assert rows.nonzero()[0].tolist() == [1, 2, 3, 4, 5]  # ceil(3 * 8/5) = 5 rows at (8 - 5) // 2


def test_fit_without_resizing_keeps_the_pixels() -> None:
    array = noise(16, 24)
    assert np.array_equal(np.asarray(fit_on_canvas(Image.fromarray(array), (24, 16))), array)


def test_tiles_go_left_to_right_then_down() -> None:
    canvas = noise(16, 24)
    tiles = split_tiles(canvas, 8)
    assert tiles.shape == (6, 8, 8, 3)
    for t, tile in enumerate(tiles):
        top, left = 8 * (t // 3), 8 * (t % 3)
        assert np.array_equal(tile, canvas[top : top + 8, left : left + 8])


@pytest.mark.parametrize("shape", [(16, 20, 3), (16, 24), (0, 8, 3)])
def test_canvas_that_cannot_be_cut(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="canvas of shape"):
        split_tiles(np.zeros(shape, np.uint8), 8)


def test_anyres_is_base_and_tiles() -> None:
    array = noise(16, 24)
    made = ImagePreprocessor(8, SMALL, "anyres_max_4").image(Image.fromarray(array))
    assert (made.size_wh, made.grid_wh) == ((24, 16), (3, 2))
    assert made.pixels.shape == (7, 3, 8, 8) and made.pixels.dtype == torch.float32
    squashed = np.asarray(Image.fromarray(array).resize((8, 8)))
    assert torch.equal(made.pixels[0], as_pixels(squashed))
    for tile, cut in zip(made.pixels[1:], split_tiles(array, 8), strict=True):
        assert torch.equal(tile, as_pixels(cut))


def test_all_levels_are_normalised_exactly() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    made = ImagePreprocessor(16, (), "square").image(Image.fromarray(levels))
    assert torch.equal(made.pixels[0], as_pixels(levels))
    assert made.pixels.min() == -1 and made.pixels.max() == 1


def test_pad_centres_on_grey() -> None:
    array = noise(4, 8)
    made = ImagePreprocessor(8, (), "pad").image(Image.fromarray(array))
    grey = np.full((8, 8, 3), 127, np.uint8)
    grey[2:6] = array
    assert made.grid_wh is None
    assert torch.equal(made.pixels, as_pixels(grey)[None])


def test_square_squashes() -> None:
    array = noise(4, 8)
    made = ImagePreprocessor(8, (), "square").image(Image.fromarray(array))
    squashed = Image.fromarray(array).resize((8, 8), Image.Resampling.BICUBIC)
    assert torch.equal(made.pixels, as_pixels(np.asarray(squashed))[None])


@pytest.mark.parametrize("aspect", ["anyres", "anyres_max_4", "pad", "square"])
@pytest.mark.parametrize("size_wh", [(1, 1), (1, 5000), (5000, 1), (7, 13)])
def test_odd_sizes(aspect: str, size_wh: tuple[int, int]) -> None:
    made = ImagePreprocessor(8, SMALL, aspect).image(Image.new("RGB", size_wh, (9, 9, 9)))
    assert made.size_wh == size_wh
    views = 1 if made.grid_wh is None else 1 + made.grid_wh[0] * made.grid_wh[1]
    assert made.pixels.shape == (views, 3, 8, 8)
    assert bool(made.pixels.isfinite().all())


@pytest.mark.parametrize("aspect", ["anyres_max_4", "pad", "square"])
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "CMYK"])
def test_other_modes_become_rgb(aspect: str, mode: str) -> None:
    image = Image.fromarray(noise(11, 9)).convert(mode)
    made = ImagePreprocessor(8, SMALL, aspect).image(image)
    assert made.pixels.shape[1:] == (3, 8, 8)


def rows_first(image: Image.Image, size_wh: tuple[int, int]) -> Image.Image:
    """The oracle of resizing: every row to its new length, then every column."""
    rows = [image.crop((0, y, image.width, y + 1)) for y in range(image.height)]
    between = Image.new(image.mode, (size_wh[0], image.height))
    for y, row in enumerate(rows):
        between.paste(row.resize((size_wh[0], 1)), (0, y))
    out = Image.new(image.mode, size_wh)
    for x in range(size_wh[0]):
        column = between.crop((x, 0, x + 1, image.height))
        out.paste(column.resize((1, size_wh[1])), (x, 0))
    return out


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("height", [3, 8, 90])
@pytest.mark.parametrize("width", [3, 8, 90])
def test_rows_are_resized_before_columns(width: int, height: int, mode: str) -> None:
    """Whatever order the installed Pillow prefers for these sides."""
    image = Image.fromarray(noise(height, width)).convert(mode)
    wanted = as_pixels(np.asarray(rows_first(image, (8, 8)).convert("RGB")))
    made = ImagePreprocessor(8, ((8, 8),), "anyres").image(image)
    assert torch.equal(made.pixels[0], wanted)
    if mode == "RGB":
        square = ImagePreprocessor(8, (), "square")
        assert torch.equal(square.image(image).pixels[0], wanted)
        assert torch.equal(square.video(np.asarray(image)[None])[0], wanted)


def test_the_image_on_a_canvas_and_on_a_square_too() -> None:
    image = Image.fromarray(noise(90, 3))
    scaled = rows_first(image, (1, 8))  # ceil(3 * 8 / 90) columns
    assert np.array_equal(np.asarray(fit_on_canvas(image, (8, 8)))[:, 3:4], np.asarray(scaled))
    grey = Image.new("RGB", (90, 90), (127, 127, 127))
    grey.paste(image, (43, 0))
    made = ImagePreprocessor(8, (), "pad").image(image)
    assert torch.equal(made.pixels[0], as_pixels(np.asarray(rows_first(grey, (8, 8)))))


@pytest.mark.parametrize("aspect", ["anyres", "pad", "square"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "PA", "LA", "RGBA", "CMYK", "I;16"])
def test_pictures_are_rgb_before_they_are_resized(mode: str, aspect: str) -> None:
    """Numbers of palette colours must not be interpolated, nor alpha lost."""
    image = Image.fromarray(noise(90, 3)).convert("L" if mode == "I;16" else mode)
    if mode in ("PA", "LA", "RGBA"):
        image.putalpha(Image.fromarray(noise(90, 3, seed=1)).convert("L"))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    assert image.mode == mode
    own = ImagePreprocessor(8, SMALL, aspect)
    assert torch.equal(own.image(image).pixels, own.image(read_picture(image)).pixels)
    canvas = fit_on_canvas(image, (16, 16))
    assert np.array_equal(canvas, fit_on_canvas(read_picture(image), (16, 16)))


def test_several_images_are_padded_as_published() -> None:
    images = [Image.fromarray(noise(16, 24, seed)) for seed in range(2)]
    anyres = ImagePreprocessor(8, SMALL, "anyres_max_4")
    pad = ImagePreprocessor(8, SMALL, "pad")
    for made, image in zip(anyres.images(images), images, strict=True):
        assert torch.equal(made.pixels, pad.image(image).pixels) and made.padded
    assert not anyres.image(images[0]).padded
    assert anyres.images(images[:1])[0].grid_wh == (3, 2)


def test_several_images_in_any_resolution_on_request() -> None:
    images = [Image.fromarray(noise(16, 24)), Image.fromarray(noise(8, 8))]
    each = ImagePreprocessor(8, SMALL, "anyres_max_4")
    for made, image in zip(each.images(images, multi_image_pad=False), images, strict=True):
        assert torch.equal(made.pixels, each.image(image).pixels)


def test_video_squashes_every_frame() -> None:
    frames = np.stack([noise(9, 12, seed) for seed in range(3)])
    made = ImagePreprocessor(8, SMALL, "anyres_max_4").video(frames)
    square = ImagePreprocessor(8, (), "square")
    expected = [square.image(Image.fromarray(frame)).pixels for frame in frames]
    assert torch.equal(made, torch.cat(expected))


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [("anyres", None), ("anyres_max_4", 4), ("anyres_max_12", 12), ("pad", None)],
)
def test_max_tiles(aspect: str, expected: int | None) -> None:
    assert ImagePreprocessor(8, SMALL, aspect).max_tiles == expected


@pytest.mark.parametrize("aspect", ["", "any", "anyres_max_", "anyres_max_0", "anyres_4", "Pad"])
def test_unknown_aspect(aspect: str) -> None:
    with pytest.raises(ValueError, match="allowed: 'anyres', 'anyres_max_N', 'pad', 'square'"):
        ImagePreprocessor(8, SMALL, aspect)


def test_pinpoints_must_suit_the_tile() -> None:
    with pytest.raises(ValueError, match="multiples of tile=9"):
        ImagePreprocessor(9, SMALL, "anyres")


@pytest.mark.parametrize("aspect", ["anyres", "pad", "square"])
@pytest.mark.parametrize("size_wh", [(0, 5), (5, 0)])
def test_empty_image(aspect: str, size_wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="image size"):
        ImagePreprocessor(8, SMALL, aspect).image(Image.new("RGB", size_wh))


def test_wrong_types() -> None:
    preprocessor = ImagePreprocessor(8, SMALL, "anyres")
    with pytest.raises(TypeError, match="of type int; give a PIL image"):
        preprocessor.image(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list of pictures"):
        preprocessor.images(Image.new("RGB", (8, 8)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no image"):
        preprocessor.images([])


@pytest.mark.parametrize("frames", [np.zeros((2, 8, 8, 3)), torch.zeros(2, 8, 8, 3), None])
def test_frames_of_another_type(frames: object) -> None:
    with pytest.raises(TypeError, match="uint8"):
        ImagePreprocessor(8, SMALL, "anyres").video(frames)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 8, 8, 4), (0, 8, 8, 3), (2, 0, 8, 3)])
def test_frames_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frames of shape"):
        ImagePreprocessor(8, SMALL, "anyres").video(np.zeros(shape, np.uint8))
