"""Glyphs: scikit-learn's handwritten digits, split by index, with training-time variation."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from saccade.studies.tasks.task import Split

GLYPH_HEIGHT, GLYPH_WIDTH = 14, 12


@dataclass(frozen=True, slots=True)
class GlyphBank:
    """Handwritten digits at page size.

    Attributes
    ----------
    ink : ndarray (N, 14, 12) float32
        Amount of ink per pixel, in [0, 1].
    by_digit : tuple of ndarray
        For each digit 0 to 9 the rows of `ink` that show it.
    """

    ink: NDArray[np.float32]
    by_digit: tuple[NDArray[np.int64], ...]

    def draw(self, digit: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return one random glyph (14, 12) of `digit`."""
        rows = self.by_digit[digit]
        glyph: NDArray[np.float32] = self.ink[rows[rng.integers(len(rows))]]
        return glyph


def split_indices(split: Split, n: int) -> NDArray[np.int64]:
    """Indices of a split among `n` samples: every fourth one (3, 7, 11, ...) is held out."""
    index = np.arange(n)
    held = index % 4 == 3
    chosen: NDArray[np.int64] = index[held] if split == "heldout" else index[~held]
    return chosen


def _scaled(ink: torch.Tensor) -> torch.Tensor:
    """Resize (N, 1, 8, 8) ink to the glyph size, bicubic, clipped to [0, 1]."""
    size = (GLYPH_HEIGHT, GLYPH_WIDTH)
    return F.interpolate(ink, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def _varied(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate, shear, scale, shift and thicken each glyph a little, at random."""
    n = len(ink)

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle, shear = uniform(-0.22, 0.22), uniform(-0.2, 0.2)
    sx, sy = uniform(0.88, 1.14), uniform(0.88, 1.14)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([cos * sx, shear - sin, uniform(-0.09, 0.09)], 1),
            torch.stack([sin, cos * sy, uniform(-0.09, 0.09)], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(ink.shape), align_corners=False)
    moved = F.grid_sample(ink, grid, mode="bilinear", align_corners=False)
    return moved.clamp(0, 1) ** uniform(0.7, 1.4).view(-1, 1, 1, 1)


@lru_cache(maxsize=4)
def glyph_bank(split: Split, variants: int = 0, seed: int = 0) -> GlyphBank:
    """Load a split of the handwriting as page-size glyphs.

    Parameters
    ----------
    split : "train" or "heldout"
        Which handwriting; see `split_indices`.
    variants : int
        Number of randomly varied copies per sample added to the plain one (0 for evaluation).
    seed : int
        Seed of the variation.

    Source: scikit-learn ``load_digits``, 1797 samples of 8 x 8 pixels with values 0 to 16.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    index = split_indices(split, len(data.target))
    small = torch.from_numpy(data.images[index].astype(np.float32) / 16)[:, None]
    plain = _scaled(small)
    generator = torch.Generator().manual_seed(seed)
    copies = [plain] + [_varied(plain, generator) for _ in range(variants)]
    labels = np.tile(data.target[index], 1 + variants)
    ink = torch.cat(copies)[:, 0].numpy()
    return GlyphBank(ink, tuple(np.flatnonzero(labels == d) for d in range(10)))
