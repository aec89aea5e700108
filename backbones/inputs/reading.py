"""The one way in which pictures are read: whatever is given becomes an upright, opaque RGB image.

The command line, the library and files of questions all read pictures by `read_picture`.
"""

import os
import warnings
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from saccade.backbones.inputs.eight_bits import Pixels, from_array, from_mode
from saccade.backbones.inputs.picture_files import decode, open_file

PictureLike = Image.Image | str | os.PathLike[str] | NDArray[Any] | Tensor
"""A PIL image, a path, or pixels as an array or a tensor: see `read_picture`."""
_ALLOWED = (
    "give a PIL image, a path, or an array or tensor (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
)
_CHANNELS = (1, 3, 4)
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def read_picture(given: object, name: str = "the picture") -> Image.Image:
    """Read a picture as a viewer would show it: RGB, upright, opaque; see `read_noted`."""
    return read_noted(given, name)[0]


def read_noted(given: object, name: str = "the picture") -> tuple[Image.Image, list[str]]:
    """Read a picture, and say what had to be done to it.

    Parameters
    ----------
    given : PIL image, path, array or tensor
        A PIL image of any mode; a path (str or Path) to a picture file; or pixels (H, W), (H, W, 1)
        grey, (H, W, 3) RGB, (H, W, 4) RGB and alpha: uint8, uint16, floats from 0 to 1, or bool.
        Channels come last; what may have them first is refused.
    name : str
        What errors call it.

    Returns
    -------
    image : PIL image of mode RGB
        Turned as its EXIF data say; what is transparent, by alpha or by a transparent colour, shows
        white; more than 8 bits scaled down to 8 by the rules of `eight_bits`.
    changes : list of str
        What was done beyond a plain conversion.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it cannot be read, has a side of 0, NaN, or values or a shape that do not say what they
        mean.
    FileNotFoundError, IsADirectoryError, PermissionError
        For paths.

    Notes
    -----
    Published code does ``.convert("RGB")`` only: it leaves pictures as the camera held them, shows
    the colour that lies below transparent pixels (black, in most files), and makes 16-bit grey
    white. On opaque, upright pictures of 8 bits the two are the same.
    """
    if isinstance(given, str | os.PathLike):
        return _shown(open_file(given), os.fspath(given))
    if isinstance(given, Image.Image):
        if 0 in given.size:
            raise ValueError(f"{name}: image size {given.size}; each side must be 1 pixel or more")
        decode(given, name)
        return _shown(given, name)
    if isinstance(given, Tensor):
        given = _array_of(given, name)
    if isinstance(given, np.ndarray):
        return _shown(Image.fromarray(_pixels(given, name)), name)
    if isinstance(given, list | tuple):
        raise TypeError(
            f"{name} is a {type(given).__name__}: one prompt takes one flat list, [image], not "
            "[[image]]; lists of lists go with a list of prompts"
        )
    raise TypeError(f"{name} is of type {type(given).__name__}; {_ALLOWED}")


def read_all(images: object, name: str = "images") -> list[Image.Image]:
    """Read all pictures of one prompt; None is none.

    Raises
    ------
    TypeError
        If it is not a list of pictures; else as `read_noted`.
    """
    if images is None:
        return []
    single = isinstance(images, Image.Image | str | bytes | os.PathLike | np.ndarray | Tensor)
    if single or isinstance(images, Mapping | Set) or not isinstance(images, Iterable):
        given = type(images).__name__
        raise TypeError(f"{name} must be a list of pictures: write [image], not {given}")
    return [read_picture(image, f"{name}[{i}]") for i, image in enumerate(images)]


def _shown(picture: Image.Image, name: str) -> tuple[Image.Image, list[str]]:
    """A decoded picture in RGB, and what had to be done for that."""
    changes = []
    upright = _upright(picture)
    if upright is not picture:
        changes.append("turned upright")
    if upright.mode == "F" or upright.mode.startswith("I"):
        upright = _scaled(upright, name)
        changes.append("scaled to 8 bits")
    if upright.has_transparency_data:
        upright = upright.convert(_PREMULTIPLIED.get(upright.mode, upright.mode)).convert("RGBA")
        if np.asarray(upright)[..., 3].min() < 255:
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
            changes.append("laid on white where transparent")
    return upright if upright.mode == "RGB" else upright.convert("RGB"), changes


def _upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF data say, or itself; damaged data say nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = picture.getexif().get(ExifTags.Base.Orientation) in range(2, 9)
            return ImageOps.exif_transpose(picture) if turned else picture
    except Exception:  # of damaged data, whatever Pillow stumbles over
        return picture


def _scaled(picture: Image.Image, name: str) -> Image.Image:
    """Grey of more than 8 bits in 8; a transparent grey value becomes an alpha channel."""
    values = np.asarray(picture)
    grey = Image.fromarray(from_mode(values, picture.mode, name))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _array_of(pixels: Tensor, name: str) -> Pixels:
    """A tensor as an array; numpy has no bfloat16, nor smaller floats."""
    if pixels.layout != torch.strided or pixels.is_meta or pixels.is_quantized:
        raise TypeError(f"{name} is a tensor that is sparse, quantized or empty; give a plain one")
    host = pixels.detach().cpu().resolve_conj().resolve_neg()
    array: Pixels = (host.float() if host.is_floating_point() else host).numpy()
    return array


def _pixels(values: Pixels, name: str) -> Pixels:
    """Pixels (H, W) or (H, W, C) in 8 bits, in an order that Pillow takes."""
    shape = values.shape
    if values.ndim not in (2, 3) or 0 in shape:
        more = ": one picture an item, not a batch" if values.ndim == 4 else ""
        raise ValueError(f"{name} has the shape {shape}{more}; {_ALLOWED}, no side 0")
    if values.ndim == 3:
        _check_channels(shape, name)
        values = values[:, :, 0] if shape[2] == 1 else values
    return np.ascontiguousarray(from_array(values, name))


def _check_channels(shape: tuple[int, ...], name: str) -> None:
    """Raise `ValueError` unless the channels are surely the last of three dimensions."""
    first, last = shape[0] in _CHANNELS, shape[2] in _CHANNELS
    if first and last:
        raise ValueError(
            f"{name} has the shape {shape}, of which both ends may be channels; give a PIL image"
        )
    if first:
        raise ValueError(
            f"{name} has the shape {shape}, with channels first; give them last: "
            "array.transpose(1, 2, 0), tensor.permute(1, 2, 0)"
        )
    if not last:
        raise ValueError(f"{name} has the shape {shape}, of {shape[2]} channels; {_ALLOWED}")
