"""State of a training run on disk: checkpoints that survive an interruption, and the log."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from saccade.controller.errors import StudyError
from saccade.studies.files import replacing

STATE, LOG = "state.pt", "log.jsonl"


@dataclass(slots=True)
class Averages:
    """Exponential moving averages of a module's weights."""

    values: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int, decay: float) -> None:
        """Mix the current weights in; early steps count more, so that no warm-up bias remains."""
        decay = min(decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if name in self.values:
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name] = value.detach().clone()

    def restore(self, values: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from earlier averages, on the device of the weights to come."""
        self.values = {name: value.to(device) for name, value in values.items()}


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
