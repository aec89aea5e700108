"""Projected view features to the sequence of visual tokens the language model reads.

As LLaDA-V was trained ("spatial_unpad" with "anyres_max_N" for images, newline position "grid" for
videos), compared with recorded numbers. LaViDa shrinks views first (`pool_2d`). Features are
row-major per view.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]


def unpad_bounds(map_hw: Pair, size_wh: Pair) -> tuple[int, int, int, int]:
    """Find the part of a feature map that an image of this aspect covers.

    Parameters
    ----------
    map_hw : (rows, columns)
        Of the whole map, padding included.
    size_wh : (width, height)
        Of the original image in pixels.

    Returns
    -------
    (top, bottom, left, right), half-open. As published, one row or column of padding may remain,
    and of an image too thin to cover a whole one, none may: the part is then empty.

    Raises
    ------
    ValueError
        If a side is below 1.
    """
    (h, w), (width, height) = at_least_1(map_hw, "map_hw"), at_least_1(size_wh, "size_wh")
    top, left = 0, 0
    if width / height > w / h:
        top = (h - int(height * (w / width))) // 2
    else:
        left = (w - int(width * (h / height))) // 2
    return top, h - top, left, w - left


def downscale_shape(map_hw: Pair, side: int, max_tiles: int | None) -> Pair:
    """Give the (rows, columns) a map is reduced to so as not to exceed `max_tiles` tiles much.

    Parameters
    ----------
    map_hw : (rows, columns)
        After unpadding; an empty map passes unchanged.
    side : int
        Patches along one side of a tile.
    max_tiles : int or None
        N of "anyres_max_N"; None never reduces. Maps up to 1.1 times too long pass unchanged.

    Raises
    ------
    ValueError
        If `max_tiles` or `side` is below 1, or a side would shrink to 0.
    """
    h, w = map_hw
    if max_tiles is not None and (max_tiles < 1 or side < 1):
        raise ValueError(f"max_tiles={max_tiles}, side={side}; both must be 1 or more")
    if max_tiles is None:
        return h, w
    times = math.sqrt(h * w / (max_tiles * side**2))
    if times <= 1.1:
        return h, w
    return at_least_1((int(h // times), int(w // times)), "reduced map")


def pack_anyres(
    features: Tensor, size_wh: Pair, grid_wh: Pair, newline: Tensor, max_tiles: int | None
) -> Tensor:
    """Pack an any-resolution image: the base view, then the tiles as one map, row by row.

    The tiles are joined, stripped of padding (`unpad_bounds`), reduced bilinearly if there are too
    many (`downscale_shape`), and `newline` ends every row. The base view has no newline. An image
    too thin for a whole row of patches has its base view only; too thin for a whole column, its
    base view and a newline for each empty row.

    Parameters
    ----------
    features : Tensor (1+T, P, D)
        Projected features, base view first; P a square number.
    size_wh : (width, height)
        Of the original image in pixels.
    grid_wh : (columns, rows)
        Of the tiles, T in all.
    newline : Tensor (D,)
        Cast to the dtype and the device of `features`.
    max_tiles : int or None
        N of "anyres_max_N"; None: no limit.

    Returns
    -------
    Tensor (N, D) in the dtype of `features`, newlines included. Differentiable.

    Raises
    ------
    ValueError
        If shapes do not fit, or `downscale_shape` would leave nothing of the map.
    """
    side = _side(features)
    columns, rows = at_least_1(grid_wh, "grid_wh")
    if len(features) != 1 + rows * columns:
        raise ValueError(
            f"{len(features)} views for a grid of {columns}x{rows}; need 1 base + {rows * columns}"
        )
    tiles = features[1:].reshape(rows, columns, side, side, features.shape[2])
    whole = tiles.permute(4, 0, 2, 1, 3).flatten(3, 4).flatten(1, 2)
    top, bottom, left, right = unpad_bounds((rows * side, columns * side), size_wh)
    seen = whole[:, top:bottom, left:right]
    shape = downscale_shape((bottom - top, right - left), side, max_tiles)
    if shape != (bottom - top, right - left):
        seen = _bilinear(seen[None], shape)[0]
    return torch.cat([features[0], _end_rows(seen.movedim(0, 2), newline).flatten(0, 1)])


def pack_plain(features: Tensor) -> Tensor:
    """Pack one-view images ("pad", "square"): (V, P, D) to (V*P, D), no newline.

    Raises
    ------
    ValueError
        If `features` does not have 3 dimensions.
    """
    _side(features)
    return features.flatten(0, 1)


def pack_listed(features: Tensor, newline: Tensor, pooled: bool = True) -> Tensor:
    """Pack one-view images (V, P, D) that were given as a list, with one newline at the end of
    each: shrunk before (`pool_2d`) if they are `pooled`, as LaViDa's are. (N, D).

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    _side(features)
    return _end_rows(pool_2d(features) if pooled else features, newline).flatten(0, 1)


def pool_2d(features: Tensor, stride: int = 2) -> Tensor:
    """Shrink every view (T, P, D) bilinearly to ceil(side / stride) patches a side.

    No antialiasing, corners not aligned; at stride 2 each token is a mean of about 2x2 patches.

    Raises
    ------
    ValueError
        If P is not a square number or `stride` is below 1.
    """
    side = _side(features)
    pooled = _pooled_side(side, stride)
    maps = features.reshape(len(features), side, side, features.shape[2]).permute(0, 3, 1, 2)
    return _bilinear(maps, (pooled, pooled)).permute(0, 2, 3, 1).flatten(1, 2)


def pack_video(features: Tensor, newline: Tensor, stride: int = 2) -> Tensor:
    """Pack a video: pool each frame (`pool_2d`), end every row with `newline`, join the frames.

    Parameters
    ----------
    features : Tensor (T, P, D)
        Projected features of the frames, NOT yet pooled.
    newline : Tensor (D,)
        Cast to the dtype and the device of `features`.
    stride : int
        Of the pooling. LLaDA-V always uses 2, whatever its config says; 1 does not pool.

    Returns
    -------
    Tensor (N, D) in the dtype of `features`, newlines included. Differentiable.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    pooled = pool_2d(features, stride)
    side = math.isqrt(pooled.shape[1])
    rows = pooled.reshape(len(pooled), side, side, pooled.shape[2])
    return _end_rows(rows, newline).flatten(0, 2)


def _bilinear(maps: Tensor, shape: Pair) -> Tensor:
    return functional.interpolate(maps.contiguous(), shape, mode="bilinear", align_corners=False)


def _end_rows(rows: Tensor, newline: Tensor) -> Tensor:
    """Append the newline to every row: (..., w, D) to (..., w+1, D)."""
    if newline.shape != rows.shape[-1:]:
        raise ValueError(
            f"newline of shape {tuple(newline.shape)}; features need ({rows.shape[-1]},)"
        )
    return torch.cat([rows, newline.to(rows).expand(*rows.shape[:-2], 1, -1)], dim=-2)


def _side(features: Tensor) -> int:
    """Patches along one side of each view of (V, P, D) features."""
    if features.ndim != 3 or math.isqrt(features.shape[1]) ** 2 != features.shape[1]:
        raise ValueError(
            f"features of shape {tuple(features.shape)}; need (views, P, D), P a square number"
        )
    return math.isqrt(features.shape[1])


def _pooled_side(side: int, stride: int) -> int:
    if side < 1 or stride < 1:
        raise ValueError(f"side={side}, stride={stride}; both must be 1 or more")
    return math.ceil(side / stride)


def at_least_1(pair: Pair, name: str) -> Pair:
    """The pair, or `ValueError` unless both are numbers from 1 on."""
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{name} is {tuple(pair)}; need two numbers, each 1 or more")
    return pair
