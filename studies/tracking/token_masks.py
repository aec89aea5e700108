"""Which visual tokens an answer kept, as masks over its picture."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saccade.studies.tracking.sink import Mask

SIDE = 96
"""Cells along each side of a mask."""
NOWHERE, KEPT, DROPPED, RESTORED = range(4)
LABELS = {NOWHERE: "no token", KEPT: "kept", DROPPED: "dropped", RESTORED: "restored"}
Place = Sequence[float] | None


def fates(steps: Sequence[Collection[int]], n: int) -> list[int]:
    """What became of each of `n` visual tokens, from those that reached the last layer by step.

    Kept: in every step. Dropped: not there in the last one. Restored: there, but not always.
    """
    always, last = set(range(n)).intersection(*steps), set(steps[-1])
    return [DROPPED if i not in last else KEPT if i in always else RESTORED for i in range(n)]


def token_masks(places: Sequence[Place], found: Sequence[int]) -> dict[str, Mask]:
    """Masks over the first picture: one, or one of the whole and one of its tiles.

    Parameters
    ----------
    places : sequence of (picture, x, y) or None
        Of every visual token, x and y in [0, 1]; None: nowhere in a picture.
    found : sequence of int
        Its class, see `LABELS`.
    """
    own = [(p[1], p[2], k) for p, k in zip(places, found, strict=True) if p and p[0] == 0]
    views = _views(own)
    if len(views) < 2:
        return {"visual tokens": _mask(own)} if own else {}
    whole, *tiles = views
    return {
        "tokens of the whole": _mask(whole),
        "tokens of tiles": _mask([token for view in tiles for token in view]),
    }


def _views(tokens: Sequence[tuple[float, float, int]]) -> list[list[tuple[float, float, int]]]:
    """Tokens of each view, which go row by row: where they jump up, the next begins."""
    views: list[list[tuple[float, float, int]]] = []
    before = np.inf
    for token in tokens:
        if token[1] < before - 1e-6:
            views.append([])
        before = token[1]
        views[-1].append(token)
    return views


def _mask(tokens: Sequence[tuple[float, float, int]]) -> Mask:
    """Every cell gets the class of the token that is nearest; of several, the first of `LABELS`."""
    ordered = sorted(tokens, key=lambda token: token[2])
    xy = np.array([token[:2] for token in ordered])
    kinds = np.array([token[2] for token in ordered])
    middles = (np.arange(SIDE) + 0.5) / SIDE
    apart = [_spacing(xy[:, axis]) for axis in (0, 1)]
    # Along each axis in units of the tokens' own distance, so that their cells are rectangles.
    dx, dy = (np.abs(middles[:, None] - xy[None, :, axis]) / apart[axis] for axis in (0, 1))
    cells = [_row(dx, own, kinds) for own in dy]
    return Mask(tuple(tuple(map(int, row)) for row in cells), LABELS)


def mask_pixels(mask: Mask, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A class for each pixel of a picture of (width, height): (height, width)."""
    cells = Image.fromarray(np.array(mask.cells, dtype=np.uint8))
    return np.array(cells.resize(size, Image.Resampling.NEAREST))


def shaded(pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (height, width, 3) on which dropped tokens are dark and restored ones green."""
    out = pixels.astype(np.float32)
    out[mask == DROPPED] *= 0.25
    out[mask == RESTORED] = out[mask == RESTORED] * 0.6 + np.array([0, 90, 40], np.float32)
    return out.astype(np.uint8)


def _row(dx: NDArray[np.float64], dy: NDArray[np.float64], kinds: NDArray[np.int64]) -> list[int]:
    """Classes of a row of cells; nowhere, where no token is within its distance to the next."""
    far = np.maximum(dx, dy[None, :])
    nearest = far.argmin(1)
    near = far[np.arange(len(far)), nearest] <= 1
    return [int(kind) for kind in np.where(near, kinds[nearest], NOWHERE)]


def _spacing(values: NDArray[np.float64]) -> float:
    """The usual distance of tokens along an axis; all of it for a single row or column."""
    gaps = np.diff(np.unique(np.round(values, 4)))
    return float(np.median(gaps)) if len(gaps) else 1.0
