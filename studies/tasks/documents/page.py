"""Pages: six rows of a code each, over a faint crop of a photograph."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saccade.studies.tasks.documents.digits import GLYPH_HEIGHT, GLYPH_WIDTH, GlyphBank
from saccade.studies.tasks.documents.lexicon import CODES

PAGE_SIZE = 96
N_ROWS = 6
ROW_HEIGHT = PAGE_SIZE // N_ROWS
THIRD_STEP, THIRD_WIDTH = 18, 13
"""Columns where a code begins: 0 to 12, 18 to 30, or 36 to 48; between them no side is right."""
SIDES = ("left", "middle", "right")


@dataclass(frozen=True, slots=True)
class Page:
    """A document and what stands on it.

    Attributes
    ----------
    pixels : ndarray (96, 96, 3) uint8
    codes : tuple of str
        The code of each of the six rows, top to bottom.
    lefts : tuple of int
        Pixel column where each row's code begins, 0 to 48.
    tops : tuple of int
        Pixel row where each row's glyphs begin.
    """

    pixels: NDArray[np.uint8]
    codes: tuple[str, ...]
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def image(self) -> Image.Image:
        """The page as an RGB picture."""
        return Image.fromarray(self.pixels)

    @property
    def sides(self) -> tuple[str, ...]:
        """Third of the possible columns where each code begins: "left", "middle" or "right"."""
        return tuple(SIDES[left // THIRD_STEP] for left in self.lefts)


@lru_cache(maxsize=1)
def _photographs() -> tuple[NDArray[np.float32], ...]:
    """The two photographs that come with scikit-learn (CC-BY), as float pictures in [0, 255]."""
    from sklearn.datasets import load_sample_images

    return tuple(np.asarray(picture, dtype=np.float32) for picture in load_sample_images().images)


def _background(rng: np.random.Generator) -> NDArray[np.float32]:
    photographs = _photographs()
    photo = photographs[rng.integers(len(photographs))]
    top = rng.integers(photo.shape[0] - PAGE_SIZE + 1)
    left = rng.integers(photo.shape[1] - PAGE_SIZE + 1)
    crop = photo[top : top + PAGE_SIZE, left : left + PAGE_SIZE]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    light, contrast = rng.uniform(175, 215), rng.uniform(0.15, 0.3)
    faint: NDArray[np.float32] = light + contrast * (crop - crop.mean())
    return faint


def draw_page(bank: GlyphBank, rng: np.random.Generator, omitted: float = 0.0) -> Page:
    """Draw a random page with glyphs of `bank`; the same generator state gives the same page.

    Each glyph is left out with probability `omitted`, like a worn spot: what stood there can be
    restored from the rest of its code only.
    """
    canvas = _background(rng)
    cover = np.zeros((PAGE_SIZE, PAGE_SIZE), dtype=np.float32)
    codes = tuple(CODES[i] for i in rng.integers(len(CODES), size=N_ROWS))
    thirds, offsets = rng.integers(3, size=N_ROWS), rng.integers(THIRD_WIDTH, size=N_ROWS)
    lefts = tuple(int(x) for x in thirds * THIRD_STEP + offsets)
    shifts = rng.integers(ROW_HEIGHT - GLYPH_HEIGHT + 1, size=N_ROWS)
    tops = tuple(int(ROW_HEIGHT * r + s) for r, s in enumerate(shifts))
    for code, left, top in zip(codes, lefts, tops, strict=True):
        for k, symbol in enumerate(code):
            if omitted and rng.random() < omitted:
                continue
            x = left + k * GLYPH_WIDTH
            cover[top : top + GLYPH_HEIGHT, x : x + GLYPH_WIDTH] = bank.draw(int(symbol), rng)
    ink = rng.uniform(10, 70, size=3).astype(np.float32)
    cover = (cover * rng.uniform(0.8, 1.0))[:, :, None]
    pixels = canvas * (1 - cover) + ink * cover
    return Page(np.clip(pixels, 0, 255).astype(np.uint8), codes, lefts, tops)
