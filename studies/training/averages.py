"""Averaged weights: what a training run returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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

    def restore(self, values: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from earlier averages, on the device of the weights to come."""
        self.values = {name: value.to(device) for name, value in values.items()}
