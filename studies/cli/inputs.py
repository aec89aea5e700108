"""What commands read and write: pictures, models, devices and files, checked before any work."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.studies.cli.consoles import note

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from saccade.backbones import Model
    from saccade.backbones.families.family import Family

SMALLEST = 8
"""Pixels that a side of a picture must have at least."""


def open_picture(path: Path) -> "Image.Image":
    """Read a picture as the library does (`read_picture`); a note says what was done to it.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
    ValueError
        If the file is not a picture, is damaged, is smaller than any patch of a vision tower, or so
        large that it may be a trap.
    """
    # Before torch is imported, which takes seconds.
    if not path.exists():
        raise FileNotFoundError(f"no picture at {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a picture")
    from saccade.backbones.inputs.reading import read_noted

    picture, changes = read_noted(path)
    if max(picture.size) < SMALLEST:
        size = "{} x {}".format(*picture.size)
        raise ValueError(
            f"{path} is a picture of {size} pixels, too small to show anything; "
            f"give one with a side of {SMALLEST} or more"
        )
    if changes:
        note(f"{path}: {', '.join(changes)}")
    return picture


def check_prompt(question: str, n_images: int) -> None:
    """Refuse a question that no model could be asked, before one is loaded.

    Raises
    ------
    ValueError
    """
    from saccade.backbones.inputs.chat import check_placeholders, check_question

    check_question(question)
    check_placeholders(question, n_images)


def check_output(path: Path) -> None:
    """Refuse a file that could not be written later.

    Raises
    ------
    IsADirectoryError, FileNotFoundError, PermissionError
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file to write")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} into")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(f"{path} may not be written")


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


def model_family(name: str, revision: str | None = None) -> "Family":
    """The family of a model, before it is loaded; errors are those of `load_model`."""
    from saccade.backbones.loading import read_family, resolve
    from saccade.controller.errors import CheckpointError

    try:
        resolve(name, revision)
    except CheckpointError as error:
        if error.__cause__ is None:
            raise ValueError(str(error)) from error
        raise
    return read_family(name, revision)


def load_model(
    name: str,
    dtype: str | None = None,
    device: "torch.device | None" = None,
    revision: str | None = None,
    attention: str | None = None,
) -> "Model":
    """Load a model, as `saccade.load` does.

    Raises
    ------
    ValueError
        If the name leads nowhere, or `attention` (sdpa by default) is unknown or cannot run.
    CheckpointError
        If there is a checkpoint that cannot be used, or the hub cannot be reached.
    """
    from saccade.backbones import load
    from saccade.studies.cli.loading_shown import bar_if_slow, told

    model_family(name, revision)
    level = logging.WARNING if name.startswith("embedded/") else logging.INFO
    with told(level), bar_if_slow() as show:
        kernel = attention or "sdpa"
        return load(name, dtype, device, revision, progress=show, attention=kernel)
