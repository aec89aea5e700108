"""Inputs of one request: the prompt with its pictures as embeddings, and what each token is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from saccade.backbones.centres import (
    token_grid_anyres,
    token_grid_listed,
    token_grid_plain,
    token_grid_video,
)
from saccade.backbones.network import Network
from saccade.backbones.packing import (
    pack_anyres,
    pack_listed,
    pack_plain,
    pack_video,
    pool_2d,
)
from saccade.backbones.tiling import ProcessedImage
from saccade.controller.types import PROMPT, RESPONSE, VISUAL, Segments

log = logging.getLogger(__name__)
IMAGE_ID = -200
"""Placeholder of a picture (or a whole video) among token ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The packed visual tokens of one image or video.

    Attributes
    ----------
    features : Tensor (N, D)
    centres : Tensor (N, 2) float32, on the CPU
        See `VisualView.centres`.
    views : int
        Views that went through the tower.
    """

    features: Tensor
    centres: Tensor
    views: int


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A request ready to be denoised.

    Attributes
    ----------
    embeds : Tensor (P, D)
        The spliced prompt.
    segments : Segments
        Of the P prompt positions.
    centres : Tensor (N, 2) float32
        Of the visual tokens.
    views : int
        Views that went through the tower.
    """

    embeds: Tensor
    segments: Segments
    centres: Tensor
    views: int

    def __len__(self) -> int:
        return len(self.embeds)

    @property
    def images(self) -> Tensor:
        """Number of the image of each prompt position, -1 for text."""
        return self.segments.images

    @property
    def visual_positions(self) -> NDArray[np.int64]:
        """Ascending positions of the visual tokens."""
        return self.segments.visual.numpy()

    def kinds_with_response(self, n: int) -> NDArray[np.int8]:
        """Kind of every position when `n` response tokens follow the prompt."""
        kinds = self.segments.kinds.numpy()
        return np.concatenate([kinds, np.full(n, RESPONSE, dtype=np.int8)])


def encode_image(
    network: Network,
    image: ProcessedImage,
    max_tiles: int | None,
    pooled: bool = False,
    listed: bool = False,
) -> Picture:
    """Run one image's views through tower and projector and pack them.

    Parameters
    ----------
    network : Network
    image : ProcessedImage
    max_tiles : int or None
        As in `pack_anyres`.
    pooled : bool
        Whether the family shrinks the views of any-resolution images (`pool_2d`).
    listed : bool
        Whether an image of one view is packed as by `pack_listed`, not `pack_plain`.
    """
    side, newline = network.tower.side, network.model.image_newline
    features = network.encode_views(image.pixels.to(newline.device, newline.dtype))
    coverage, n = side * network.tower.patch_size / network.tower.image_size, len(features)
    if image.grid_wh is None and listed:
        centres = token_grid_listed(side, image.size_wh, coverage)
        return Picture(pack_listed(features, newline), centres, n)
    if image.grid_wh is None:
        centres = token_grid_plain(side, image.size_wh if image.padded else None, coverage)
        return Picture(pack_plain(features), centres, n)
    centres = token_grid_anyres(image.size_wh, image.grid_wh, side, max_tiles, coverage, pooled)
    views = pool_2d(features) if pooled else features
    return Picture(pack_anyres(views, image.size_wh, image.grid_wh, newline, max_tiles), centres, n)


def encode_video(network: Network, frames: Tensor) -> Picture:
    """Run frames (T, 3, S, S) through tower and projector, pool them and pack them."""
    side, newline = network.tower.side, network.model.image_newline
    features = network.encode_views(frames.to(newline.device, newline.dtype))
    coverage = side * network.tower.patch_size / network.tower.image_size
    centres = token_grid_video(len(frames), side, coverage=coverage)
    return Picture(pack_video(features, newline), centres, len(features))


def splice(network: Network, ids: Sequence[int], pictures: Sequence[Picture]) -> Prepared:
    """Put pictures at their placeholders among embedded ids, and cut what is too long.

    As in the published code, one placeholder too many shows the last picture again, and pictures
    without a placeholder are left out; both are logged.

    Raises
    ------
    ValueError
        If placeholders outnumber pictures by two or more, or there are no pictures for them, or an
        id is out of range.
    """
    places = [i for i, token in enumerate(ids) if token == IMAGE_ID]
    shown = _at_places(pictures, len(places))
    vocab = network.model.embed_tokens.num_embeddings
    wrong = [token for token in ids if token != IMAGE_ID and not 0 <= token < vocab]
    if wrong:
        raise ValueError(f"token id {wrong[0]} is outside the vocabulary of {vocab}")
    device = network.model.image_newline.device
    text = network.model.embed_tokens(
        torch.tensor([0 if token == IMAGE_ID else token for token in ids], device=device)
    )
    parts, kinds, images, start = [], [], [], 0
    for number, (place, picture) in enumerate(zip(places, shown, strict=True)):
        n = len(picture.features)
        parts += [text[start:place], picture.features.to(text.dtype)]
        kinds += [PROMPT] * (place - start) + [VISUAL] * n
        images += [-1] * (place - start) + [number] * n
        start = place + 1
    parts.append(text[start:])
    kinds += [PROMPT] * (len(ids) - start)
    images += [-1] * (len(ids) - start)
    limit = network.language.max_length
    if len(kinds) > limit:
        log.warning("the prompt of %d tokens is cut to the model's %d", len(kinds), limit)
    segments = Segments(
        torch.tensor(kinds[:limit], dtype=torch.int8),
        torch.tensor(images[:limit], dtype=torch.int16),
    )
    centres = torch.cat([torch.zeros(0, 2), *(picture.centres for picture in shown)])
    return Prepared(
        torch.cat(parts)[:limit],
        segments,
        centres[: len(segments.visual)],
        sum(picture.views for picture in pictures),
    )


def _at_places(pictures: Sequence[Picture], n_places: int) -> list[Picture]:
    """The picture of each placeholder, given the pictures of a request."""
    n = len(pictures)
    if n_places == n:
        return list(pictures)
    counts = f"the prompt has {n_places} image placeholders but {n} images were given"
    if n_places > n + 1 or n == 0:
        raise ValueError(counts)
    if n_places == n + 1:
        log.warning("%s: the last one is shown again", counts)
    elif n_places:
        log.warning("%s: only the first are used", counts)
    else:
        log.warning("%s: only the text is used", counts)
    return [pictures[min(i, n - 1)] for i in range(n_places)]


def check_image(image: object) -> Image.Image:
    """Return a PIL image, or raise `TypeError` saying what to give."""
    if not isinstance(image, Image.Image):
        raise TypeError(
            f"images must be PIL images, not {type(image).__name__}; use PIL.Image.open"
        )
    return image
