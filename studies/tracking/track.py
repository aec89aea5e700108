"""What commands call: results in, runs at the trackers, whatever the trackers do."""

import re
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from saccade.studies.analysis.summary import Summary
from saccade.studies.tracking.apart import Apart
from saccade.studies.tracking.from_study import study_runs
from saccade.studies.tracking.limits import time_limit
from saccade.studies.tracking.sample_table import Masks
from saccade.studies.tracking.sink import Sink, TrackedRun
from saccade.studies.tracking.tensorboard_sink import MISSING as NO_TENSORBOARD
from saccade.studies.tracking.tensorboard_sink import TensorBoardSink
from saccade.studies.tracking.wandb_home import MISSING as NO_WANDB
from saccade.studies.tracking.wandb_sink import WandbSink

PROJECT = "saccade"
SENDING = 0.5
"""Share of that time in which wandb may send what is written."""


def track(
    summaries: Sequence[Summary],
    sink: Sink,
    *,
    masks: Masks | None = None,
    beside: Path | None = None,
    tell: Callable[[str], None] = lambda problem: None,
) -> Sequence[str]:
    """Send studies to a tracker; where they are then. Nothing that goes wrong is raised.

    Parameters
    ----------
    summaries : sequence of Summary
    sink : Sink
        From `open_sinks`; it is closed.
    masks : callable, optional
        Which visual tokens an answer kept, where that is known; else the few answers that are shown
        are given again to see it, where the model is at hand.
    beside : Path, optional
        Folder of the study's file.
    tell : callable
        Gets what went wrong, in words.
    """
    return send_all(lambda: study_runs(summaries, masks, beside=beside), sink, tell)


def send_all(
    make: Callable[[], Iterable[TrackedRun]], sink: Sink, tell: Callable[[str], None]
) -> Sequence[str]:
    """Make runs and send them; as `track`."""
    try:
        for run in make():
            sink.send(run)
        return sink.close()
    except Exception as error:
        tell(f"nothing was sent to the tracker: {type(error).__name__}: {error}")
        return ()


def open_sinks(
    folder: Path,
    wandb: str | None = None,
    tensorboard: Path | None = None,
    tell: Callable[[str], None] = lambda problem: None,
) -> Apart:
    """The sinks that were asked for, in a process of their own.

    Parameters
    ----------
    folder : Path
        Of the results; wandb writes there.
    wandb : str, optional
        ``PROJECT`` or ``ENTITY/PROJECT``.
    tensorboard : Path, optional
        A log folder.
    tell : callable
        Gets what went wrong, in words.

    Raises
    ------
    ImportError
        Where a tracker is not installed, naming the extra.
    ValueError
        For a project's name or a time that cannot be.
    """
    seconds, sinks = time_limit(), list[Sink]()
    if wandb is not None:
        entity, project = place_of(wandb)
        if not _installed("wandb"):
            raise ImportError(NO_WANDB)
        sinks.append(WandbSink(folder, project, entity, SENDING * seconds))
    if tensorboard is not None:
        if not _installed("tensorboard"):
            raise ImportError(NO_TENSORBOARD)
        sinks.append(TensorBoardSink(tensorboard))
    return Apart(sinks, tell, seconds)


def _installed(module: str) -> bool:
    """Whether a module is there; a plain folder of that name, as wandb leaves them, is none."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def place_of(text: str) -> tuple[str | None, str]:
    """Entity and project of ``--wandb``; a `ValueError` says what they may be."""
    entity, slash, project = text.rpartition("/")
    bad = re.search(r"[/\\#?%:\x00-\x1f]", project)
    if bad or not project.strip() or len(project) > 128 or (slash and not entity.strip("/ ")):
        raise ValueError(
            f"--wandb {text!r}: give PROJECT or ENTITY/PROJECT, at most 128 characters without "
            "/, \\, #, ?, % or :"
        )
    return entity or None, project
