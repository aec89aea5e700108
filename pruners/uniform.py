"""A uniform grid: what a method that looks at the picture has to beat."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.protocols import Site
from saccade.controller.views import Selection, VisualView
from saccade.pruners.base import ChoosingPruner


@dataclass(frozen=True, repr=False)
class UniformGrid(ChoosingPruner):
    """Keep tokens evenly spread over each picture, whatever is in it.

    Each picture gets its share of the `n`; a grid of about square cells is laid over it, and the
    token nearest to the middle of each cell stays. Tokens without a place, such as newlines, stay
    only when all others do.
    """

    source: ClassVar[str] = "baseline"
    needs: ClassVar[frozenset[str]] = frozenset({"centers"})
    site: ClassVar[Site] = "entry"

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens."""
        total = len(view)
        centers, images = view.centers.cpu().double(), view.images.cpu()
        placed = ~centers.isnan().any(dim=1)
        kept = torch.zeros(total, dtype=torch.bool)
        numbers = images[placed].unique().tolist()
        sizes = [int((placed & (images == number)).sum()) for number in numbers]
        for number, count in zip(numbers, divided(min(n, sum(sizes)), sizes), strict=True):
            own = (placed & (images == number)).nonzero()[:, 0]
            kept[own[spread(centers[own], count)]] = True
        unplaced = (~kept).nonzero()[:, 0]
        kept[unplaced[: n - int(kept.sum())]] = True
        return Selection(kept.nonzero()[:, 0])


def divided(n: int, sizes: list[int]) -> list[int]:
    """`n` divided in proportion to sizes: rounded down, and what is left to the largest rests."""
    total = sum(sizes)
    shares = [n * size // total for size in sizes]
    rests = sorted(range(len(sizes)), key=lambda i: (-(n * sizes[i] % total), i))
    for i in rests[: n - sum(shares)]:
        shares[i] += 1
    return shares


def spread(centers: Tensor, n: int) -> Tensor:
    """Numbers (n,) of the points (M, 2) nearest to the middles of `n` even cells of [0, 1]^2.

    A point counts once, and of equally near ones the first.
    """
    if n == 0:
        return torch.zeros(0, dtype=torch.int64)
    rows = max(1, round(math.sqrt(n)))
    per_row = divided(n, [1] * rows)
    free = torch.zeros(len(centers), dtype=torch.float64)
    picks = []
    for row, columns in enumerate(per_row):
        for column in range(columns):
            middle = torch.tensor([(column + 0.5) / columns, (row + 0.5) / rows])
            distance = (centers - middle).square().sum(dim=1).round(decimals=9) + free
            pick = int(distance.argmin())
            picks.append(pick)
            free[pick] = torch.inf
    return torch.tensor(picks)
