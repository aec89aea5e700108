"""State of a training run on disk: checkpoints that survive an interruption, and the log."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


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


def write_atomically(path: Path, content: Any) -> None:
    """Save tensors and plain values so that `path` is always complete: the old or the new one."""
    temporary = path.with_suffix(".partial")
    torch.save(content, temporary)
    os.replace(temporary, path)


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read what `write_atomically` saved, or None if there is nothing."""
    if not path.exists():
        return None
    content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return content


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON record to a log."""
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
