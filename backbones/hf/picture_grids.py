"""Where visual tokens lie in their pictures, by what processors of transformers say of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Grid = tuple[int, int]
"""Rows and columns of visual tokens."""


def merged(config: Any, given: Mapping[str, Any]) -> list[Grid]:
    """Of Qwen's models: ``image_grid_thw`` and ``video_grid_thw`` count patches, which are merged;
    each frame is a picture. Empty where a prompt holds both kinds, whose order they do not say."""
    names = ("image_grid_thw", "video_grid_thw")
    tables = [table for name in names if (table := given.get(name)) is not None]
    if len(tables) != 1:
        return []
    side = config.vision_config.spatial_merge_size
    return [(h // side, w // side) for t, h, w in tables[0].tolist() for _ in range(t)]


def square(config: Any, given: Mapping[str, Any]) -> list[Grid]:
    """Of LLaVA 1.5: every picture is as many patches wide as high."""
    pixels, vision = given.get("pixel_values"), config.vision_config
    if pixels is None or config.vision_feature_select_strategy == "full":
        return []  # with "full" the tower's first token is none of a grid
    side = vision.image_size // vision.patch_size
    return [(side, side)] * len(pixels)


def fixed(config: Any, given: Mapping[str, Any]) -> list[Grid]:
    """Of Gemma 3: every picture has the same number of tokens, as many wide as high."""
    pixels = given.get("pixel_values")
    side = round(config.mm_tokens_per_image**0.5)
    return [] if pixels is None else [(side, side)] * len(pixels)


def pooled(config: Any, given: Mapping[str, Any]) -> list[Grid]:
    """Of Gemma 4 and DiffusionGemma: ``image_position_ids`` (P, n, 2) are the places (x, y) of the
    patches of every picture, -1 for padding, which are pooled."""
    places = given.get("image_position_ids")
    if places is None:
        return []
    side = config.vision_config.pooling_kernel_size
    ends = (places.amax(1) + 1) // side
    return [(int(h), int(w)) for w, h in ends.tolist()]


def laid_out(grids: Sequence[Grid], counts: Sequence[int]) -> list[tuple[Tensor, Tensor]] | None:
    """Centers (N, 2) in [0, 1] and pictures (N,) of the visual tokens of every sequence.

    Parameters
    ----------
    grids : sequence of (rows, columns)
        Of all pictures of a batch, in order.
    counts : sequence of int
        Visual tokens of every sequence.

    Returns
    -------
    list of (Tensor, Tensor), or None where the grids do not add up to the tokens.
    """
    left, out = list(grids), []
    for count in counts:
        centers, images = [torch.zeros(0, 2)], [torch.zeros(0, dtype=torch.int64)]
        number = 0
        while count > 0 and left:
            rows, columns = left.pop(0)
            centers.append(_centers(rows, columns))
            images.append(torch.full((rows * columns,), number))
            count, number = count - rows * columns, number + 1
        if count:
            return None
        out.append((torch.cat(centers), torch.cat(images)))
    return None if left else out


def _centers(rows: int, columns: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([(x.flatten() + 0.5) / columns, (y.flatten() + 0.5) / rows], dim=1)


def runs(visual: Tensor) -> Tensor:
    """Number (N,) of the run of neighbours that each of some ascending positions (N,) is in."""
    breaks = torch.nn.functional.pad((visual.diff() > 1).long(), (1 if len(visual) else 0, 0))
    return breaks.cumsum(0)
