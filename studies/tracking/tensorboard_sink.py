"""Runs as event files for TensorBoard: a folder a run, in a folder a group."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.studies.tracking.remembering import Remembering, name_from
from saccade.studies.tracking.sink import Grid, Picture, TrackedRun

MISSING = 'tensorboard is not installed: pip install "saccade-dmllm[tensorboard]"'
MOST_TEXT = 200
"""Characters of a text in a table's cell: TensorBoard draws tables as they are."""


@dataclass
class TensorBoardSink(Remembering):
    """A log folder of TensorBoard.

    Series and figures of the summary become scalars; config and summary hyperparameters with their
    metrics, which TensorBoard draws against each other; tables text and pictures, on which dropped
    visual tokens are dark and restored ones green; fronts pictures of their points. TensorBoard has
    no artifacts: records and presets are in the results' folder, and in wandb.

    Parameters
    ----------
    folder : Path
        Given to ``tensorboard --logdir``.
    """

    folder: Path

    @property
    def sent(self) -> Path:
        """File of the ledger."""
        return self.folder / "sent.json"

    def write(self, rest: TrackedRun, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write parts of a run as event files.

        Raises
        ------
        ImportError
            Without tensorboard, naming the extra.
        OSError
            Where it cannot be written.
        """
        own = self.folder / _slug(rest.group) / f"{_slug(rest.name)}-{rest.id[-6:]}"
        step = note.get("step", 0)
        with writer_class()(str(own)) as writer:
            _write(writer, rest, step)
        return {"step": step + 1}

    def close(self) -> Sequence[str]:
        """Say how to look at it."""
        return (f"tensorboard: tensorboard --logdir {self.folder}",)


def writer_class() -> Any:
    """torch's writer of event files; an `ImportError` that names the extra without tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(MISSING) from error
    return SummaryWriter


def _write(writer: Any, run: TrackedRun, step: int) -> None:
    import numpy as np

    from saccade.studies.tracking.front_picture import front_picture

    for series in run.series.values():
        for place, values in series.points:
            for name, value in values.items():
                writer.add_scalar(name, value, place)
    numbers = {
        f"summary/{name}": float(value)
        for name, value in run.summary.items()
        if isinstance(value, int | float)
    }
    for name, value in numbers.items():
        writer.add_scalar(name, value, step)
    for name, grid in run.tables.items():
        writer.add_text(name, _markdown(grid), step)
        for place, picture in enumerate(grid.pictures):
            writer.add_image(f"{name}/{place}", _pixels(picture), step, dataformats="HWC")
    for name, figure in run.figures.items():
        writer.add_image(name, np.asarray(front_picture(figure)), step, dataformats="HWC")
    writer.add_text("config", _fenced(json.dumps(dict(run.config), indent=2, default=str)), step)
    _hyperparameters(writer, run, numbers)


def _hyperparameters(writer: Any, run: TrackedRun, numbers: dict[str, float]) -> None:
    """What TensorBoard's table of runs shows: plain entries of the config, and all figures."""
    from torch.utils.tensorboard.summary import hparams

    plain = {
        key: value for key, value in run.config.items() if isinstance(value, str | int | float)
    }
    for own in hparams(plain | {"name": run.name, "kind": run.kind}, numbers):
        writer.file_writer.add_summary(own)


def _slug(name: str) -> str:
    return name_from(name, " ,%+", 80) or "run"


def _markdown(grid: Grid) -> str:
    """A table as TensorBoard's markdown; nothing in a cell is read as markup."""
    lines = [grid.columns, ["---"] * len(grid.columns), *grid.rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case Picture():
            return _plain(cell.caption or "picture")
        case float():
            return f"{cell:.6g}"
    text = " ".join(str(cell).split())
    text = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."
    return "".join(f"&#{ord(sign)};" if sign in "|<>&*_`[]()!#~\\" else sign for sign in text)


def _fenced(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _pixels(picture: Picture) -> Any:
    """The picture, and beside it what each of its masks says."""
    import numpy as np
    from PIL import Image

    from saccade.studies.tracking.token_masks import mask_pixels, shaded

    pixels = np.array(Image.open(io.BytesIO(picture.png)).convert("RGB"))
    height, width, _ = pixels.shape
    masks = [mask_pixels(mask, (width, height)) for mask in picture.masks.values()]
    return np.concatenate([pixels, *(shaded(pixels, mask) for mask in masks)], axis=1)
