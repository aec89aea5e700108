"""Pictures on their way to the language model: views, the rule that packs them, visual tokens."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.backbones.inputs.packing import (
    Pair,
    pack_anyres,
    pack_listed,
    pack_plain,
    pack_video,
    pool_2d,
)
from saccade.backbones.inputs.tiling import ProcessedImage
from saccade.backbones.inputs.token_centers import (
    token_grid_anyres,
    token_grid_listed,
    token_grid_plain,
    token_grid_video,
)
from saccade.backbones.network.network import Network
from saccade.controller.one_line import fields_in_line

Pack = Callable[[Tensor, Tensor], Tensor]
"""Values of all patches (V, P, D) and of a newline (D,) to those of the visual tokens (N, D)."""


@dataclass(slots=True, eq=False)
class Picture:
    """The visual tokens of one image or video.

    Attributes
    ----------
    features : Tensor (N, D) or None
        None: not encoded yet.
    centers : Tensor (N, 2) float32, on the CPU
        See `VisualView.centers`.
    views : int
        Views that go through the tower.
    pixels : Tensor (V, 3, S, S) or None
        They; None for features that came from elsewhere.
    pack : callable
        How their patches become visual tokens.
    columns : int or None
        Of the tiles, for any-resolution images: their maps are joined before they are packed.
    side : int
        Patches along one side of a view.
    """

    features: Tensor
    centers: Tensor
    views: int
    pixels: Tensor | None = None
    pack: Pack | None = None
    columns: int | None = None
    side: int = 0

    def __repr__(self) -> str:
        return fields_in_line(self)

    def owners(self) -> Tensor:
        """The patch (N,) int64 of each visual token, counted through the views; -1 for newlines."""
        assert self.pack is not None
        view, row, column = _places(self.views, self.side, self.columns).unbind(-1)
        places = torch.stack([view, row, column], dim=-1)
        found = self.pack(places, torch.full((3,), torch.nan))
        newline = found[:, 0].isnan()
        view, row, column = found.nan_to_num().round().long().unbind(-1)
        if self.columns is not None:
            tiles = 1 + row // self.side * self.columns + column // self.side
            view, row, column = view.where(view == 0, tiles), row % self.side, column % self.side
        return torch.where(newline, -1, (view * self.side + row) * self.side + column)


def _places(views: int, side: int, columns: int | None) -> Tensor:
    """View, row and column (V, P, 3) float32 of every patch.

    Tiles of an any-resolution image are all view 1, their rows and columns those of the whole map,
    so that what is interpolated between tiles stays a place.
    """
    line = torch.arange(side, dtype=torch.float32)
    inside = torch.cartesian_prod(line, line)
    out = torch.zeros(views, side * side, 3)
    out[:, :, 1:] = inside
    if columns is None:
        out[:, :, 0] = torch.arange(views, dtype=torch.float32)[:, None]
        return out
    tiles = torch.arange(views - 1)
    out[1:, :, 0] = 1.0
    out[1:, :, 1] += (tiles // columns * side)[:, None]
    out[1:, :, 2] += (tiles % columns * side)[:, None]
    return out


def image_picture(
    network: Network,
    image: ProcessedImage,
    max_tiles: int | None,
    pooled: bool = False,
    listed: bool = False,
) -> Picture:
    """One image's picture, not encoded yet.

    Parameters
    ----------
    network : Network
    image : ProcessedImage
    max_tiles : int or None
        As in `pack_anyres`.
    pooled : bool
        Whether the family shrinks views (`pool_2d`), but for those packed as by `pack_plain`.
    listed : bool
        Whether an image of one view is packed as by `pack_listed`, not `pack_plain`.
    """
    side, size, grid = network.tower.side, image.size_wh, image.grid_wh
    coverage = side * network.tower.patch_size / network.tower.image_size
    columns: int | None = None
    pack: Pack
    if grid is None and listed:
        centers = token_grid_listed(side, size, coverage, pooled)
        pack = functools.partial(pack_listed, pooled=pooled)
    elif grid is None:
        centers = token_grid_plain(side, size if image.padded else None, coverage)
        pack = _plain
    else:
        centers = token_grid_anyres(size, grid, side, max_tiles, coverage, pooled)
        pack = functools.partial(
            _pack_anyres, size_wh=size, grid_wh=grid, max_tiles=max_tiles, pooled=pooled
        )
        columns = grid[0]
    views = len(image.pixels)
    return Picture(torch.zeros(0), centers, views, image.pixels, pack, columns, side)


def video_picture(network: Network, frames: Tensor) -> Picture:
    """A video's picture from frames (T, 3, S, S), not encoded yet."""
    side = network.tower.side
    coverage = side * network.tower.patch_size / network.tower.image_size
    centers = token_grid_video(len(frames), side, coverage=coverage)
    return Picture(torch.zeros(0), centers, len(frames), frames, pack_video, None, side)


def _plain(features: Tensor, newline: Tensor) -> Tensor:
    return pack_plain(features)


def _pack_anyres(
    features: Tensor,
    newline: Tensor,
    size_wh: Pair,
    grid_wh: Pair,
    max_tiles: int | None,
    pooled: bool,
) -> Tensor:
    views = pool_2d(features) if pooled else features
    return pack_anyres(views, size_wh, grid_wh, newline, max_tiles)


def encoded(network: Network, picture: Picture) -> Picture:
    """Run a picture's views through tower and projector and pack them."""
    assert picture.pixels is not None and picture.pack is not None
    newline = network.model.image_newline
    features = network.encode_views(picture.pixels.to(newline.device, newline.dtype))
    picture.features = picture.pack(features, newline)
    return picture
