"""What commands read and write: pictures, models, devices and files, checked before any work."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from saccade.backbones import DiffusionModel


def open_picture(path: Path) -> "Image.Image":
    """Read and decode a picture.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
    ValueError
        If the file is no picture, is damaged, or is so large that it may be a trap.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.exists():
        raise FileNotFoundError(f"no picture at {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
            picture.load()
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture that Pillow can read") from None
    except PermissionError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on damaged files
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    return picture


def check_output(path: Path) -> None:
    """Refuse a file that could not be written later.

    Raises
    ------
    IsADirectoryError, FileNotFoundError
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file to write")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} into")


def check_device(name: str | None) -> "torch.device | None":
    """The named device, or None for the default.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    import torch

    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(f"no device {name!r} here; there is {', '.join(here)}") from error
    return device


def load_model(
    name: str,
    dtype: str | None = None,
    device: "torch.device | None" = None,
    revision: str | None = None,
) -> "DiffusionModel":
    """Load a model, as `saccade.load` does.

    Raises
    ------
    ValueError
        If the name leads nowhere.
    CheckpointError
        If there is a checkpoint that cannot be used, or the hub cannot be reached.
    """
    from saccade.backbones import load
    from saccade.backbones.loading import resolve
    from saccade.controller.errors import CheckpointError

    try:
        resolve(name, revision)
    except CheckpointError as error:
        if error.__cause__ is None:
            raise ValueError(str(error)) from error
        raise
    return load(name, dtype, device, revision)
