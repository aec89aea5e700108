"""State of a training run on disk: checkpoints that survive an interruption, and the log."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from saccade.controller.errors import StudyError
from saccade.studies.runs.files import replacing

STATE, LOG = "state.pt", "log.jsonl"


def write_atomically(path: Path, content: Any) -> None:
    """Save tensors and plain values so that `path` is always complete: the old or the new one."""
    with replacing(path) as partial:
        torch.save(content, partial)


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read what `write_atomically` saved, on the CPU; None if there is nothing.

    Raises
    ------
    StudyError
        If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError) as error:
        raise StudyError(
            f"{path} cannot be read ({str(error) or type(error).__name__}); delete it to train "
            "from the beginning, or give another --out"
        ) from error
    return content


def append_figures(path: Path, stage: int, step: int, figures: Mapping[str, float]) -> None:
    """Append the figures of a step to a log as one line of JSON; null for what is not finite."""
    rounded = {k: round(v, 4) if math.isfinite(v) else None for k, v in figures.items()}
    line = json.dumps({"stage": stage, "step": step, **rounded}, allow_nan=False)
    with path.open("a", encoding="utf-8") as log:
        log.write(line + "\n")
