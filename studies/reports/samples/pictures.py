"""Pictures as small as a page with many of them needs."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from saccade.backbones.inputs.reading import PictureLike, read_picture

SIDES = (640, 480, 320, 240, 160)
"""Pixels of the longer side, the largest first."""
QUALITY = 88


def small_pictures(images: Sequence[PictureLike], room: int) -> list[dict[str, Any]]:
    """Pictures as data addresses of `room` letters together or fewer, as large as that allows; the
    smallest that there are where even those take more.

    Raises
    ------
    OSError, TypeError, ValueError
        If one cannot be read.
    """
    shown = [read_picture(image) for image in images]
    for side in SIDES:
        found = [_small(image, side) for image in shown]
        if sum(len(own["source"]) for own in found) <= room:
            break
    return found


def _small(image: Image.Image, side: int) -> dict[str, Any]:
    """A picture, and the shape it has at full size."""
    small = image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    code = base64.b64encode(buffer.getvalue()).decode()
    shape = {"width": image.width, "height": image.height}
    return {"source": f"data:image/jpeg;base64,{code}", **shape}
