"""Views that pruners are asked about."""

import torch
from torch import Tensor

from saccade.controller.views import VisualView

QUERIES = ("response", "all", "last", "instruction")


def view_of(features: Tensor, seed: int = 0, **attention: Tensor) -> VisualView:
    total = len(features)
    images = torch.zeros(total, dtype=torch.int64)
    return VisualView(features, torch.rand(total, 2), images, attention, seed=seed)


def random_features(total: int, width: int, seed: int) -> Tensor:
    return torch.randn(total, width, generator=torch.Generator().manual_seed(seed))
