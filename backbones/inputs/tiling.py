"""Pictures and frames to the pixel views a SigLIP tower eats, in the any-resolution manner.

The arithmetic is that which LLaDA-V and LaViDa were trained with: same floats, same roundings, so
that views are equal to recorded ones bit for bit. LLaDA-V's are so whichever Pillow is installed
(`_resize`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from saccade.backbones.inputs.pinpoints import Pair, best_resolution, parse_pinpoints, positive
from saccade.backbones.inputs.reading import PictureLike, read_all, read_picture
from saccade.controller.names import not_allowed

Bytes = npt.NDArray[np.uint8]

PAD_COLOUR = (127, 127, 127)
_ASPECT = re.compile(r"square|pad|anyres|anyres_max_([1-9]\d*)")
_LEVELS = ((np.arange(256) * (1 / 255)).astype(np.float32) - np.float32(0.5)) / np.float32(0.5)


def _resize(
    image: Image.Image,
    size_wh: Pair,
    resample: Image.Resampling | None = None,
    rows_first: bool = True,
) -> Image.Image:
    """Resize all rows to the new width, then all columns to the new height: Pillow's until 11.3.

    Later versions take the other order where it is faster, and the rounding to whole grey levels in
    between then gives pixels that LLaDA-V's published code never saw. One pass at a time leaves no
    choice; without `rows_first` Pillow has it.
    """
    if not rows_first or image.size == size_wh:
        return image.resize(size_wh, resample)
    return image.resize((size_wh[0], image.height), resample).resize(size_wh, resample)


def fit_on_canvas(image: Image.Image, size_wh: Pair, rows_first: bool = True) -> Image.Image:
    """Enlarge or reduce an image to fit `size_wh`, aspect kept, centred on black.

    The filter is Pillow's default, bicubic. The image becomes RGB before it is resized
    (`read_picture`): numbers of palette colours cannot be interpolated.

    Raises
    ------
    ValueError
        If a side of the image or of the canvas is 0.
    """
    width, height = positive(image.size, "image size")
    w, h = positive(size_wh, "canvas size")
    image = read_picture(image)
    if w / width < h / height:
        fitted_wh = (w, min(math.ceil(height * (w / width)), h))
    else:
        fitted_wh = (min(math.ceil(width * (h / height)), w), h)
    fitted = _resize(image, fitted_wh, rows_first=rows_first)
    canvas = Image.new("RGB", (w, h), (0, 0, 0))
    canvas.paste(fitted, ((w - fitted.width) // 2, (h - fitted.height) // 2))
    return canvas


def split_tiles(canvas: Bytes, tile: int) -> Bytes:
    """Cut a canvas (H, W, 3) into tiles (T, S, S, 3), left to right, then down.

    Raises
    ------
    ValueError
        If the canvas is not (H, W, 3) or its sides are not positive multiples of `tile`.
    """
    if canvas.ndim != 3 or min(canvas.shape[:2]) < 1 or any(n % tile for n in canvas.shape[:2]):
        raise ValueError(
            f"canvas of shape {canvas.shape}; need (H, W, 3), H and W multiples of {tile}"
        )
    rows, columns = canvas.shape[0] // tile, canvas.shape[1] // tile
    cut = canvas.reshape(rows, tile, columns, tile, canvas.shape[2])
    return cut.swapaxes(1, 2).reshape(rows * columns, tile, tile, canvas.shape[2])


def _bytes(image: Image.Image) -> Bytes:
    return np.asarray(image, dtype=np.uint8)


def _normalise(views: Bytes) -> Tensor:
    """Bytes (V, S, S, 3) to float32 (V, 3, S, S) in [-1, 1], as SigLIP's image processor does.

    Each of the 256 levels goes through x * (1/255) in float64, float32, - 0.5, / 0.5 beforehand.
    """
    return torch.from_numpy(np.ascontiguousarray(_LEVELS[views].transpose(0, 3, 1, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class ProcessedImage:
    """Views of one image, ready for the vision tower.

    Attributes
    ----------
    pixels : Tensor (V, 3, S, S) float32
        In [-1, 1]. Any-resolution: the squashed whole image, then its tiles row by row. Else one.
    size_wh : (width, height)
        Of the original image in pixels.
    grid_wh : (columns, rows) or None
        Of the tiles; None when there is one view only.
    padded : bool
        Whether that one view is the image on a square, not the squashed image.
    """

    pixels: Tensor
    size_wh: Pair
    grid_wh: Pair | None
    padded: bool = False


@dataclass(frozen=True, slots=True)
class ImagePreprocessor:
    """Turns pictures and frames into views.

    Parameters
    ----------
    tile : int
        Side S of a view in pixels.
    pinpoints : tuple of (width, height)
        Canvas sizes for any-resolution, see `parse_pinpoints`.
    aspect : str
        ``"anyres"`` or ``"anyres_max_N"``: the squashed whole plus tiles; ``"pad"``: one view on a
        (127, 127, 127) square; ``"square"``: one squashed view.
    rows_first : bool
        Resize rows, then columns, as every Pillow did at LLaDA-V's time. False: as the installed
        Pillow does, whose versions after 11.3 may take the other order.

    Raises
    ------
    ValueError
        For an unknown aspect, or pinpoints that are not multiples of `tile`.

    Notes
    -----
    As in LLaDA-V's published evaluation, with one difference: pictures are read by `read_picture`,
    where published code does ``.convert("RGB")`` only. Opaque, upright pictures of 8 bits give the
    same pixels.
    """

    tile: int
    pinpoints: tuple[Pair, ...]
    aspect: str
    rows_first: bool = True

    def __post_init__(self) -> None:
        if not _ASPECT.fullmatch(self.aspect):
            allowed = ("anyres", "anyres_max_N", "pad", "square")
            raise ValueError(not_allowed("aspect", self.aspect, allowed))
        if self.tile < 1:
            raise ValueError(f"tile={self.tile}; must be 1 pixel or more")
        if self.is_anyres:
            object.__setattr__(self, "pinpoints", parse_pinpoints(self.pinpoints, self.tile))

    @property
    def is_anyres(self) -> bool:
        return self.aspect.startswith("anyres")

    @property
    def max_tiles(self) -> int | None:
        """N of ``"anyres_max_N"``: tiles' worth of tokens kept when packing. None: no limit."""
        match = _ASPECT.fullmatch(self.aspect)
        return int(match[1]) if match and match[1] else None

    def image(self, image: PictureLike) -> ProcessedImage:
        """Make the views of one picture; `read_picture` says what may be given, and its errors."""
        return self._views(read_picture(image))

    def _views(self, image: Image.Image) -> ProcessedImage:
        """The views of a picture in RGB."""
        if self.is_anyres:
            return self._anyres(image)
        padded = self.aspect == "pad"
        whole = _on_square(image) if padded else image
        view = _bytes(self._view(whole, Image.Resampling.BICUBIC))
        return ProcessedImage(_normalise(view[None]), image.size, None, padded)

    def _view(self, image: Image.Image, resample: Image.Resampling | None = None) -> Image.Image:
        """A picture squashed to a view."""
        return _resize(image, (self.tile, self.tile), resample, self.rows_first)

    def _anyres(self, image: Image.Image) -> ProcessedImage:
        canvas_wh = best_resolution(image.size, self.pinpoints)
        base = _bytes(self._view(image))
        canvas = fit_on_canvas(image, canvas_wh, self.rows_first)
        tiles = split_tiles(_bytes(canvas), self.tile)
        grid_wh = (canvas_wh[0] // self.tile, canvas_wh[1] // self.tile)
        pixels = _normalise(np.concatenate([base[None], tiles]))
        return ProcessedImage(pixels, image.size, grid_wh)

    def images(
        self, images: Sequence[PictureLike], multi_image_pad: bool = True
    ) -> list[ProcessedImage]:
        """Make the views of all pictures of one request.

        Parameters
        ----------
        images : sequence of pictures
            Each as `read_picture` takes it.
        multi_image_pad : bool
            Several images go the ``"pad"`` way, whatever `aspect` says, as in the published
            evaluations (they lose tiles and newlines). False: each by `aspect`, as in the demos.

        Raises
        ------
        ValueError
            If there is none.
        TypeError
            If it is not a sequence of pictures.
        """
        pictures = read_all(images)
        if not pictures:
            raise ValueError("got no image; give at least one")
        padding = len(pictures) > 1 and multi_image_pad
        each = replace(self, aspect="pad") if padding else self
        return [each._views(picture) for picture in pictures]

    def video(self, frames: Bytes) -> Tensor:
        """Squash frames (T, H, W, 3) uint8 to views (T, 3, S, S) float32.

        Raises
        ------
        TypeError
            If it is not a uint8 array.
        ValueError
            If its shape is not (T, H, W, 3), or a dimension is 0.
        """
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            given = getattr(frames, "dtype", type(frames).__name__)
            raise TypeError(f"got {given}; give frames as a uint8 numpy array (T, H, W, 3)")
        if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
            raise ValueError(f"frames of shape {frames.shape}; need (T, H, W, 3), none of them 0")
        pictures = (Image.fromarray(frame) for frame in frames)
        squashed = [_bytes(self._view(frame, Image.Resampling.BICUBIC)) for frame in pictures]
        return _normalise(np.stack(squashed))


def _on_square(image: Image.Image) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), PAD_COLOUR)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
