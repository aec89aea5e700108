"""Training targets of single patches: what stands where on a page."""

import numpy as np
from numpy.typing import NDArray

from saccade.studies.tasks.documents.digits import GLYPH_HEIGHT, GLYPH_WIDTH
from saccade.studies.tasks.documents.page import PAGE_SIZE, Page

NOTHING = 10
N_DIGIT_CLASSES, N_PLACE_CLASSES = 11, 5


def patch_labels(page: Page, patch: int = 8) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Digit (0-9, 10 for none) and place in its code (0-3, 4 for none) at each patch's centre.

    Returns
    -------
    digits, places : ndarray (patches,) int64, row-major
    """
    side = PAGE_SIZE // patch
    digits = np.full((side, side), NOTHING, dtype=np.int64)
    places = np.full((side, side), 4, dtype=np.int64)
    centers = np.arange(side) * patch + patch / 2
    for code, left, top in zip(page.codes, page.lefts, page.tops, strict=True):
        rows = (centers >= top) & (centers < top + GLYPH_HEIGHT)
        for place, symbol in enumerate(code):
            x = left + place * GLYPH_WIDTH
            columns = (centers >= x) & (centers < x + GLYPH_WIDTH)
            digits[np.ix_(rows, columns)] = int(symbol)
            places[np.ix_(rows, columns)] = place
    return digits.ravel(), places.ravel()


def pixel_views(pages: list[Page]) -> NDArray[np.float32]:
    """Pages as views (V, 3, 96, 96), normalised to [-1, 1] as SigLIP's processor does."""
    stack = np.stack([page.pixels for page in pages]).transpose(0, 3, 1, 2)
    return ((stack.astype(np.float32) / 255 - 0.5) / 0.5).astype(np.float32)
