"""Where in its picture each visual token lies: counterparts of `saccade.backbones.inputs.packing`.

The patches' centers are packed as if they were features, so order and interpolation agree.
"""

import torch
from torch import Tensor

from saccade.backbones.inputs.packing import (
    Pair,
    at_least_1,
    pack_anyres,
    pack_video,
    pool_2d,
)


def token_grid_anyres(
    size_wh: Pair,
    grid_wh: Pair,
    side: int,
    max_tiles: int | None,
    coverage: float = 1.0,
    pooled: bool = False,
) -> Tensor:
    """Tell where in the original image each token of `pack_anyres` lies.

    The patches' centers are packed as if they were features, so order and interpolation agree.

    Parameters
    ----------
    size_wh, grid_wh, side, max_tiles
        As in `pack_anyres`.
    coverage : float
        Share of a view's side that its patches cover: 27 * 14 / 384 for patches of 14 in 384.
    pooled : bool
        Whether views are shrunk by `pool_2d` before they are packed.

    Returns
    -------
    Tensor (N, 2) float32: approximate centers, x to the right and y down, in [0, 1] of the image's
    width and height; NaN for newlines. A leftover row of padding is moved to the edge.

    Raises
    ------
    ValueError
        As `pack_anyres` does.
    """
    columns, rows = at_least_1(grid_wh, "grid_wh")
    width, height = at_least_1(size_wh, "size_wh")
    base = _patch_centers(side, coverage)
    if pooled:
        base = pool_2d(base[None])[0]
    corners = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).flip(1)
    canvas = base + corners[:, None, :]
    scale = min(columns / width, rows / height)
    fitted = torch.tensor([width * scale, height * scale])
    tiles = (canvas - (torch.tensor([columns, rows]) - fitted) / 2) / fitted
    centers = torch.cat([base[None], tiles])
    nowhere = torch.full((2,), torch.nan)
    return pack_anyres(centers, size_wh, grid_wh, nowhere, max_tiles).clamp(0, 1)


def token_grid_plain(side: int, size_wh: Pair | None = None, coverage: float = 1.0) -> Tensor:
    """Tell where in the original image each token of one view lies (`pack_plain`).

    Parameters
    ----------
    side : int
        Patches along one side.
    size_wh : (width, height) or None
        Of an image that was padded to a square; None when it was squashed.
    coverage : float
        As in `token_grid_anyres`.

    Returns
    -------
    Tensor (side*side, 2) float32, xy in [0, 1]; NaN for tokens that lie in the padding.
    """
    centers = _patch_centers(side, coverage)
    if size_wh is None:
        return centers
    return _unpadded(centers, size_wh)


def token_grid_listed(
    side: int, size_wh: Pair, coverage: float = 1.0, pooled: bool = True
) -> Tensor:
    """Tell where in a padded image each token of `pack_listed` lies: (N, 2) xy, NaN for the newline
    and in the padding."""
    centers = _patch_centers(side, coverage)
    if pooled:
        centers = pool_2d(centers[None])[0]
    return torch.cat([_unpadded(centers, size_wh), torch.full((1, 2), torch.nan)])


def token_grid_video(n_frames: int, side: int, stride: int = 2, coverage: float = 1.0) -> Tensor:
    """Tell where in its frame each token of `pack_video` lies: (N, 2) xy, NaN for newlines."""
    centers = _patch_centers(side, coverage).expand(n_frames, -1, -1)
    return pack_video(centers, torch.full((2,), torch.nan), stride)


def _patch_centers(side: int, coverage: float) -> Tensor:
    """Centres (side*side, 2) of a view's patches, xy in [0, 1], row-major."""
    if side < 1 or not 0 < coverage <= 1:
        raise ValueError(f"side={side}, coverage={coverage}; need side >= 1, 0 < coverage <= 1")
    line = (torch.arange(side) + 0.5) * (coverage / side)
    return torch.cartesian_prod(line, line).flip(1)


def _unpadded(centers: Tensor, size_wh: Pair) -> Tensor:
    """From places on a padded square to places in its image; NaN for those in the padding."""
    shown = torch.tensor(at_least_1(size_wh, "size_wh")) / max(size_wh)
    centers = (centers - (1 - shown) / 2) / shown
    inside = ((centers >= 0) & (centers <= 1)).all(1, keepdim=True)
    return centers.where(inside, torch.nan)
