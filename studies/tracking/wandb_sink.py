"""Runs in Weights & Biases: always written to the run's folder first, then sent if it may be."""

import io
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.studies.tracking.remembering import Remembering, name_from
from saccade.studies.tracking.sink import Artifact, Grid, Mask, Picture, TrackedRun
from saccade.studies.tracking.wandb_home import home_settings, quiet_settings, wandb_at_home
from saccade.studies.tracking.wandb_sync import command_to_send, may_send, send_runs, waiting_runs

BUSY = 16 << 20
"""Bytes that must be free beside what is written: a full disk loses records without a word."""


@dataclass
class WandbSink(Remembering):
    """A project in wandb.

    Nothing is sent while runs are written, so neither a slow nor an absent server matters then.
    `close` sends what is in the folder if there are credentials and the server answers. It changes
    environment variables and is made for a process of its own: see `Apart`.

    Parameters
    ----------
    folder : Path
        Gets ``wandb/``, with everything that wandb writes.
    project : str
    entity : str, optional
        User or team.
    seconds : float
        How long sending may take.
    """

    folder: Path
    project: str = "saccade"
    entity: str | None = None
    seconds: float = 240.0

    @property
    def runs(self) -> Path:
        """Folder of the runs that are written."""
        return self.folder / "wandb"

    @property
    def sent(self) -> Path:
        """File of the ledger."""
        return self.runs / "sent.json"

    def write(self, rest: TrackedRun, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write parts of a run as an offline run that goes on from the ones before.

        Raises
        ------
        ImportError
            Without wandb, naming the extra.
        OSError
            Where there is no room.
        """
        wandb = self._wandb()
        self._forget_unfinished(rest, note.get("folders", []))
        self._check_room(rest)
        own = wandb.init(
            entity=self.entity,
            project=self.project,
            id=rest.id,
            name=rest.name,
            group=rest.group,
            job_type=rest.kind,
            config=dict(rest.config),
            resume="allow",
            reinit="create_new",
        )
        folder = Path(own.dir).parent
        try:
            step = _write(wandb, own, rest, note.get("step", 0))
        except BaseException:
            own.finish(exit_code=1)
            raise
        own.finish()
        self._check_room()
        return {"step": step, "folders": [*note.get("folders", []), folder.name]}

    def close(self) -> Sequence[str]:
        """Send what is written, where that is allowed and possible."""
        waiting = waiting_runs(self.runs)
        if not waiting:
            return (f"wandb: nothing new in {self.runs}",)
        if not may_send():
            return (f"wandb: runs in {self.runs}; to send them: {command_to_send(self.runs)}",)
        return (send_runs(waiting, self.runs, home_settings(self.folder), self.seconds),)

    def _wandb(self) -> Any:
        """The module, told to keep to the folder and to itself."""
        wandb = wandb_at_home(self.folder)
        own = home_settings(self.folder)["WANDB_DIR"]
        wandb.setup(quiet_settings(wandb, mode="offline", root_dir=own))
        return wandb

    def _forget_unfinished(self, run: TrackedRun, known: Sequence[str]) -> None:
        """Delete what an attempt left that was stopped in the middle: it is written anew."""
        for path in self.runs.glob(f"offline-run-*-{run.id}"):
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def _check_room(self, run: TrackedRun | None = None) -> None:
        """Raise `OSError` where wandb would write less than it says."""
        need = (BUSY if run is not None else 0) + 2 * (0 if run is None else _size(run))
        free = shutil.disk_usage(self.folder).free
        if free <= need:
            raise OSError(f"no space left for wandb in {self.folder}: {free:,} bytes are free")


def _size(run: TrackedRun) -> int:
    """Bytes of what is large in a run."""
    artifacts = [*run.uses.values(), *run.makes.values()]
    grids = run.tables.values()
    texts = (c for grid in grids for row in grid.rows for c in row if isinstance(c, str))
    return (
        sum(len(data) for own in artifacts for data in own.files.values())
        + sum(len(picture.png) for grid in grids for picture in grid.pictures)
        + sum(map(len, texts))
    )


def _write(wandb: Any, own: Any, run: TrackedRun, step: int) -> int:
    """Write the parts of a run from a step of its history on; the step that comes next."""
    for name, artifact in run.uses.items():
        # What `use_artifact` does, which refuses to do it offline.
        own._log_artifact(_artifact(wandb, name, artifact), use_after_commit=True)
    for series in run.series.values():
        own.define_metric(series.axis, summary="none")
        for name in {name for _, values in series.points for name in values}:
            own.define_metric(metric_name(name), step_metric=series.axis, summary="none")
        for place, values in series.points:
            named = {metric_name(name): value for name, value in values.items()}
            own.log({series.axis: place, **named}, step=step)
            step += 1
    media = {name: _table(wandb, grid) for name, grid in run.tables.items()}
    media |= {name: _figure(wandb, figure) for name, figure in run.figures.items()}
    if media:
        own.log(media, step=step)
        step += 1
    for name, artifact in run.makes.items():
        own.log_artifact(_artifact(wandb, name, artifact))
    own.summary.update({metric_name(name): value for name, value in run.summary.items()})
    return step


def metric_name(name: str) -> str:
    """A name that wandb does not read as a pattern or a path into nested values."""
    return re.sub(r"[*.\\\"\x00-\x1f]+", "-", name)


def _table(wandb: Any, grid: Grid) -> Any:
    """A table whose columns have types, as pictures are drawn in columns of pictures alone."""
    rows = [[_cell(wandb, cell) for cell in row] for row in grid.rows]
    try:
        return wandb.Table(columns=list(grid.columns), data=rows)
    except TypeError:  # a column with numbers and words
        return wandb.Table(columns=list(grid.columns), data=rows, allow_mixed_types=True)


def _cell(wandb: Any, cell: Any) -> Any:
    if not isinstance(cell, Picture):
        return cell
    from PIL import Image

    image = Image.open(io.BytesIO(cell.png)).convert("RGB")
    masks = {name: _mask(mask, image.size) for name, mask in cell.masks.items()}
    return wandb.Image(image, caption=cell.caption, masks=masks or None)


def _mask(mask: Mask, size: tuple[int, int]) -> dict[str, Any]:
    """A mask of one class a pixel, as wandb wants it."""
    from saccade.studies.tracking.token_masks import mask_pixels

    return {"mask_data": mask_pixels(mask, size), "class_labels": dict(mask.labels)}


def _figure(wandb: Any, figure: str) -> Any:
    from plotly.io import from_json

    return wandb.Plotly(from_json(figure))


def _artifact(wandb: Any, name: str, artifact: Artifact) -> Any:
    slug = name_from(name, most=120, ascii_only=True) or artifact.kind
    made = wandb.Artifact(slug, artifact.kind, metadata=dict(artifact.about))
    for file, data in artifact.files.items():
        with made.new_file(file, "wb") as out:
            out.write(data)
    return made
