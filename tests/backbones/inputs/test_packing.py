import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from saccade.backbones.inputs.packing import (
    downscale_shape,
    pack_anyres,
    pack_plain,
    pack_video,
    pool_2d,
    unpad_bounds,
)
from saccade.backbones.inputs.pinpoints import best_resolution, parse_pinpoints
from saccade.backbones.inputs.tiling import ImagePreprocessor
from saccade.backbones.inputs.token_centers import (
    token_grid_anyres,
    token_grid_plain,
    token_grid_video,
)

SIDE, TILE = 27, 384
PINPOINTS = parse_pinpoints("(1x1),...,(6x6)", TILE)
NEWLINE = torch.full((4,), -9.0)


def grid_of(size_wh: tuple[int, int]) -> tuple[int, int]:
    w, h = best_resolution(size_wh, PINPOINTS)
    return w // TILE, h // TILE


def features_of(grid_wh: tuple[int, int], side: int, d: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1 + grid_wh[0] * grid_wh[1], side**2, d, generator=generator)


def naive_anyres(features: Tensor, bounds: tuple[int, ...], columns: int, side: int) -> Tensor:
    """The oracle where nothing is reduced: one token after the other."""
    top, bottom, left, right = bounds
    tokens = list(features[0])
    for y in range(top, bottom):
        for x in range(left, right):
            tile = (y // side) * columns + x // side
            tokens.append(features[1 + tile, (y % side) * side + x % side])
        tokens.append(NEWLINE)
    return torch.stack(tokens)


@pytest.mark.parametrize(
    ("map_hw", "size_wh", "expected"),
    [
        ((27, 27), (5, 5), (0, 27, 0, 27)),
        ((54, 54), (640, 480), (7, 47, 0, 54)),  # int(40.5) = 40 rows
        ((54, 27), (333, 500), (7, 47, 0, 27)),
        ((81, 27), (100, 1000), (0, 81, 9, 18)),  # int(8.1) = 8, but 19 // 2 leaves 9 columns
        ((27, 27), (1, 5000), (0, 27, 13, 14)),  # int(0.005) = 0, and one column remains
    ],
)
def test_unpad_bounds(
    map_hw: tuple[int, int], size_wh: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert unpad_bounds(map_hw, size_wh) == expected


@pytest.mark.parametrize(("size_wh", "n_map"), [((5000, 1), 0), ((1, 5000), 4)])
def test_too_thin_for_an_even_map(size_wh: tuple[int, int], n_map: int) -> None:
    """No row: the base view alone. No column: four rows of nothing but their newline."""
    features, where = features_of((1, 1), 4), (size_wh, (1, 1))
    packed = pack_anyres(features, *where, NEWLINE, 4)
    assert torch.equal(packed, torch.cat([features[0], NEWLINE.expand(n_map, -1)]))
    places = token_grid_anyres(*where, 4, 4)
    assert len(places) == len(packed) == 16 + n_map
    assert torch.equal(places[:16], token_grid_plain(4)) and bool(places[16:].isnan().all())


@pytest.mark.parametrize(
    ("map_hw", "max_tiles", "expected"),
    [
        ((54, 54), 4, (54, 54)),
        ((59, 59), 4, (59, 59)),  # 1.09 times too long: left alone
        ((60, 60), 4, (53, 53)),  # 60 // 1.1111111111111112 is 53 in floats, as published
        ((162, 162), 4, (54, 54)),
        ((162, 162), None, (162, 162)),
        ((162, 135), 4, (59, 49)),
    ],
)
def test_downscale_shape(
    map_hw: tuple[int, int], max_tiles: int | None, expected: tuple[int, int]
) -> None:
    assert downscale_shape(map_hw, SIDE, max_tiles) == expected


def test_downscaling_to_nothing() -> None:
    with pytest.raises(ValueError, match="reduced map"):
        downscale_shape((1, 1000), 2, 1)


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        ((224, 224), 1485),
        ((384, 384), 1485),
        ((448, 448), 3699),
        ((2304, 2304), 3699),
        ((480, 360), 1728),
        ((640, 480), 2929),
        ((800, 600), 3627),
        ((1280, 720), 3649),
        ((1920, 1080), 3649),
        ((1700, 2200), 3657),
        ((100, 1000), 1539),
        ((1000, 100), 1467),
        ((500, 3000), 3765),
    ],
)
def test_published_counts(size_wh: tuple[int, int], expected: int) -> None:
    assert len(token_grid_anyres(size_wh, grid_of(size_wh), SIDE, max_tiles=4)) == expected


@pytest.mark.parametrize("max_tiles", [1, 4, None])
@pytest.mark.parametrize("side", [3, 4, 5])
@pytest.mark.parametrize("size_wh", [(1, 1), (400, 390), (900, 333), (333, 900), (2000, 1999)])
def test_every_packed_token_has_a_place(
    size_wh: tuple[int, int], side: int, max_tiles: int | None
) -> None:
    where = size_wh, grid_of(size_wh)
    packed = pack_anyres(features_of(where[1], side), *where, NEWLINE, max_tiles)
    places = token_grid_anyres(*where, side, max_tiles)
    assert packed.shape == (len(places), 4)
    assert torch.equal(places.isnan().all(1), (packed == NEWLINE).all(1))


@pytest.mark.parametrize("size_wh", [(400, 390), (900, 333), (333, 900), (1000, 1400), (1, 1)])
def test_packing_equals_the_naive_one(size_wh: tuple[int, int]) -> None:
    grid, side = grid_of(size_wh), 5
    features = features_of(grid, side)
    bounds = unpad_bounds((grid[1] * side, grid[0] * side), size_wh)
    packed = pack_anyres(features, size_wh, grid, NEWLINE, None)
    assert torch.equal(packed, naive_anyres(features, bounds, grid[0], side))


def test_reduction_keeps_a_linear_field_linear() -> None:
    side, grid = 6, (4, 4)
    line = torch.arange(24.0)
    field = torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1)
    tiles = field.unflatten(0, (4, side)).unflatten(2, (4, side)).permute(0, 2, 1, 3, 4)
    features = torch.cat([torch.zeros(1, 36, 2), tiles.flatten(2, 3).flatten(0, 1)])
    packed = pack_anyres(features, (9, 9), grid, torch.full((2,), -9.0), max_tiles=4)
    rows = packed[36:].unflatten(0, (12, 13))
    assert bool((rows[:, -1] == -9).all())
    expected = torch.arange(12.0) * 2 + 0.5
    torch.testing.assert_close(rows[:, 0, 0], expected)
    torch.testing.assert_close(rows[0, :-1, 1], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    features = features_of((3, 3), 4).to(dtype)
    assert pack_anyres(features, (9, 9), (3, 3), NEWLINE, 4).dtype == dtype
    assert pack_video(features, NEWLINE).dtype == dtype
    assert pack_plain(features).dtype == dtype


def test_gradients_reach_features_and_newline() -> None:
    features = features_of((3, 3), 4).double().requires_grad_()
    newline = NEWLINE.double().requires_grad_()

    def packed(features: Tensor, newline: Tensor) -> Tensor:
        return pack_anyres(features, (9, 8), (3, 3), newline, 1)

    assert torch.autograd.gradcheck(packed, (features, newline), fast_mode=True)
    assert torch.autograd.gradcheck(pack_video, (features, newline), fast_mode=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu() -> None:
    features = features_of((3, 3), 4)
    on_cpu = pack_anyres(features, (9, 8), (3, 3), NEWLINE, 1)
    on_cuda = pack_anyres(features.cuda(), (9, 8), (3, 3), NEWLINE, 1)
    torch.testing.assert_close(on_cuda.cpu(), on_cpu)
    torch.testing.assert_close(
        pack_video(features.cuda(), NEWLINE).cpu(), pack_video(features, NEWLINE)
    )


def test_plain_has_no_newline() -> None:
    features = features_of((1, 1), 3)
    assert torch.equal(pack_plain(features), torch.cat(list(features)))


@pytest.mark.parametrize(("side", "stride"), [(27, 2), (4, 2), (5, 2), (5, 3), (6, 1)])
def test_video_is_frames_of_rows(side: int, stride: int) -> None:
    features, pooled = features_of((2, 1), side), math.ceil(side / stride)
    packed = pack_video(features, NEWLINE, stride)
    assert len(packed) == len(token_grid_video(3, side, stride)) == 3 * pooled * (pooled + 1)
    frames = packed.unflatten(0, (3, pooled, pooled + 1))
    assert bool((frames[:, :, -1] == NEWLINE).all())
    assert torch.equal(frames[:, :, :-1].flatten(1, 2), pool_2d(features, stride))


def test_pooling() -> None:
    features = features_of((1, 1), 6)
    assert torch.equal(pool_2d(features, stride=1), features)
    blocks = features.unflatten(1, (3, 2, 3, 2)).mean(dim=(2, 4)).flatten(1, 2)
    torch.testing.assert_close(pool_2d(features), blocks)  # even sides: means of 2x2
    assert pool_2d(features_of((1, 1), 27)).shape[1] == 14**2


def colours_of_patches(pixels: Tensor, patch: int) -> Tensor:
    """Views (V, 3, S, S) to the mean red and green of their patches, (V, P, 2), from 0 to 1."""
    means = torch.nn.functional.avg_pool2d(pixels[:, :2], patch)
    return (means.flatten(2).transpose(1, 2) + 1) / 2


@pytest.mark.parametrize("aspect", ["anyres_max_4", "anyres", "pad", "square"])
@pytest.mark.parametrize("size_wh", [(112, 112), (300, 170), (150, 260), (56, 56), (333, 321)])
def test_tokens_lie_where_their_colour_says(size_wh: tuple[int, int], aspect: str) -> None:
    """An image that is red to the right and green downwards tells each token's place."""
    width, height = size_wh
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    image = Image.fromarray((np.stack([x, y, 0 * x], axis=2) * 255).round().astype(np.uint8))
    preprocessor = ImagePreprocessor(56, parse_pinpoints("(1x1),...,(6x6)", 56), aspect)
    made = preprocessor.image(image)
    colours = colours_of_patches(made.pixels, patch=14)
    if made.grid_wh is None:
        places = token_grid_plain(4, size_wh if aspect == "pad" else None)
        colours = pack_plain(colours)
    else:
        where = size_wh, made.grid_wh
        places = token_grid_anyres(*where, 4, preprocessor.max_tiles)
        colours = pack_anyres(colours, *where, torch.full((2,), torch.nan), preprocessor.max_tiles)
    seen = places[~places.isnan().any(1)]
    assert bool(((seen >= 0) & (seen <= 1)).all())
    inner = ((places > 0.2) & (places < 0.8)).all(1)  # patches without any padding
    assert int(inner.sum()) >= 2
    torch.testing.assert_close(places[inner], colours[inner], atol=0.02, rtol=0)


def test_places_of_the_last_pixels_that_patches_miss() -> None:
    coverage = 27 * 14 / 384
    base = token_grid_anyres((384, 384), (1, 1), SIDE, 4, coverage)[: SIDE**2]
    torch.testing.assert_close(base[0], torch.tensor([7 / 384, 7 / 384]))
    torch.testing.assert_close(base[-1], torch.tensor([371 / 384, 371 / 384]))
    assert torch.equal(base, token_grid_plain(SIDE, coverage=coverage))


def test_places_in_the_padding_are_nowhere() -> None:
    places = token_grid_plain(4, size_wh=(4, 2)).unflatten(0, (4, 4))
    assert places.isnan().all(2).all(1).tolist() == [True, False, False, True]
    torch.testing.assert_close(places[1, 0], torch.tensor([0.125, 0.25]))


def test_places_in_frames() -> None:
    places = token_grid_video(2, 4)
    assert len(places) == 12
    frame = [[0.25, 0.25], [0.75, 0.25], [math.nan] * 2, [0.25, 0.75], [0.75, 0.75], [math.nan] * 2]
    torch.testing.assert_close(places, torch.tensor(frame * 2), equal_nan=True)


def test_wrong_shapes() -> None:
    features = features_of((2, 1), 3)
    with pytest.raises(ValueError, match="3 views for a grid of 2x2; need 1 base [+] 4"):
        pack_anyres(features, (9, 9), (2, 2), NEWLINE, 4)
    with pytest.raises(ValueError, match="square number"):
        pack_anyres(features[:, 1:], (9, 9), (2, 1), NEWLINE, 4)
    with pytest.raises(ValueError, match="square number"):
        pack_plain(features[0])
    with pytest.raises(ValueError, match="newline of shape"):
        pack_anyres(features, (9, 9), (2, 1), NEWLINE[1:], 4)
    with pytest.raises(ValueError, match="newline of shape"):
        pack_video(features, NEWLINE[:1])


def test_wrong_numbers() -> None:
    with pytest.raises(ValueError, match="size_wh"):
        unpad_bounds((4, 4), (0, 3))
    with pytest.raises(ValueError, match="grid_wh"):
        token_grid_anyres((9, 9), (0, 1), SIDE, 4)
    with pytest.raises(ValueError, match="max_tiles=0"):
        downscale_shape((4, 4), SIDE, 0)
    with pytest.raises(ValueError, match="stride=0"):
        pool_2d(features_of((1, 1), 3), stride=0)
    with pytest.raises(ValueError, match="coverage=2"):
        token_grid_plain(4, coverage=2)
