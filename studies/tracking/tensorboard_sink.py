"""Runs as event files for TensorBoard: a folder a run, in a folder a group."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.studies.tracking.ledger import Ledger
from saccade.studies.tracking.sink import Grid, Picture, TrackedRun

MISSING = 'tensorboard is not installed: pip install "saccade-dmllm[tensorboard]"'
MOST_TEXT = 200
"""Characters of a text in a table's cell: TensorBoard draws tables as they are."""


@dataclass
class TensorBoardSink:
    """A log folder of TensorBoard.

    Series and figures of the summary become scalars, config and summary hyperparameters, tables
    text and pictures. TensorBoard keeps no artifacts and draws no plotly figures: those stay in the
    results' folder and in wandb.

    Parameters
    ----------
    folder : Path
        Given to ``tensorboard --logdir``.
    """

    folder: Path

    def send(self, run: TrackedRun) -> None:
        """Write what of a run was not written before; nothing if that is nothing.

        Raises
        ------
        ImportError
            Without tensorboard, naming the extra.
        OSError
            Where it cannot be written.
        """
        ledger = Ledger(self.folder / "sent.json")
        rest = ledger.rest(run)
        if rest is None:
            return
        own = self.folder / _slug(run.group) / f"{_slug(run.name)}-{run.id[-6:]}"
        step = ledger.note_of(run).get("step", 0)
        with writer_class()(str(own)) as writer:
            _write(writer, rest, step)
        ledger.keep(run, {"step": step + 1})

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
        for place, picture in enumerate(_pictures(grid)):
            writer.add_image(f"{name}/{place}", _pixels(picture), step, dataformats="HWC")
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
    return re.sub(r"[^\w .,%+-]+", "-", name).strip(" .-")[:80] or "run"


def _markdown(grid: Grid) -> str:
    """A table as TensorBoard's markdown; nothing in a cell is read as markup."""
    lines = [grid.columns, ["---"] * len(grid.columns), *grid.rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case Picture():
            return "picture"
        case float():
            return f"{cell:.6g}"
    text = " ".join(str(cell).split())
    text = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."
    return "".join(f"&#{ord(sign)};" if sign in "|<>&*_`[]()!#~\\" else sign for sign in text)


def _fenced(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _pictures(grid: Grid) -> list[Picture]:
    return [cell for row in grid.rows for cell in row if isinstance(cell, Picture)]


def _pixels(picture: Picture) -> Any:
    import numpy as np
    from PIL import Image

    return np.array(Image.open(io.BytesIO(picture.png)).convert("RGB"))
