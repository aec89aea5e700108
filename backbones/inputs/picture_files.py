"""Opening picture files: what a path leads to, or a plain error that names it."""

import os
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError


def open_file(path: str | os.PathLike[str], *, whole: bool = True) -> Image.Image:
    """Open a picture file and decode it; of an animation, the first picture.

    Parameters
    ----------
    path : str or Path
    whole : bool
        False: read no more than what kind of picture it is and how large.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError
        If the file is not a picture, is damaged, or so large that it may be a trap.
    """
    given, path = os.fspath(path), Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a picture")
    if not path.exists():
        raise FileNotFoundError(f"no picture at {given}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture that Pillow can read") from None
    except PermissionError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on damaged files
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if whole:
        decode(picture, str(path))
    return picture


def decode(picture: Image.Image, name: str) -> None:
    """Read the pixels of a picture that was opened, if that has not been done.

    Raises
    ------
    ValueError
        If they cannot be read.
    """
    try:
        picture.load()
    except Exception as error:
        raise ValueError(f"{name} cannot be read as a picture: {error}") from error
