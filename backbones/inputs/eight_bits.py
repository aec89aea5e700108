"""Pixel values of every range to 8 bits, by rules that depend on the kind of the values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Pixels = NDArray[Any]


def from_mode(values: Pixels, mode: str, name: str) -> Bytes:
    """Grey values (H, W) of a Pillow image to 8 bits.

    Parameters
    ----------
    values : array (H, W)
    mode : str
        Of the image. ``I;16`` and its kin: 16 bits. ``I``: 8 bits as they stand if no value is
        above 255, else 16 bits. ``F``: 0 to 1 if no value is above 1, else 8 bits as they stand.
        16 bits are divided by 257, so that 65535 is white; all is rounded to the nearest.
    name : str
        What the error calls the picture.

    Raises
    ------
    ValueError
        If a value is not finite or lies outside of 0 to 65535, for ``F`` of 0 to 255.
    """
    if mode == "F":
        top = 1.0 if _within(values, 255, name, "0 to 1, or 0 to 255") <= 1 else 255.0
        return _nearest(values, top)
    highest = _within(values, 65535, name, "0 to 255, or 0 to 65535")
    if mode == "I" and highest <= 255:
        return values.astype(np.uint8)
    return _from_16_bits(values)


def from_array(values: Pixels, name: str) -> Bytes:
    """Values of an array to 8 bits, shape unchanged.

    Parameters
    ----------
    values : array
        uint8 as they stand; uint16 divided by 257; floats from 0 to 1; bool, where True is white.
    name : str
        What the error calls the picture.

    Raises
    ------
    TypeError
        For another dtype.
    ValueError
        If a float is not finite or lies outside of 0 to 1.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return _from_16_bits(values)
    if values.dtype.kind != "f":
        raise TypeError(
            f"{name} has values of type {values.dtype}; give uint8 (0 to 255), uint16 (0 to "
            "65535), floats from 0 to 1, or bool"
        )
    _within(values, 1, name, "0 to 1 for floats: divide by 255, or give uint8")
    return _nearest(values, 1.0)


def _within(values: Pixels, most: float, name: str, allowed: str) -> float:
    """The highest value; `ValueError` unless all lie between 0 and `most`."""
    lowest, highest = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has pixels that are NaN or infinite; replace them by numbers")
    if lowest < 0 or highest > most:
        ends = f"{lowest:.9g} to {highest:.9g}"
        raise ValueError(f"{name} has values from {ends}; allowed: {allowed}")
    return highest


def _nearest(values: Pixels, top: float) -> Bytes:
    scaled: Bytes = np.rint(values.astype(np.float64) * (255 / top)).astype(np.uint8)
    return scaled


def _from_16_bits(values: Pixels) -> Bytes:
    """The nearest values of 8 bits: 257 is odd, so that none lies halfway."""
    scaled: Bytes = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return scaled
