"""Random choice: what any method has to beat."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.views import VisualView
from saccade.pruners.base import ScorePruner


@dataclass(frozen=True, repr=False)
class Random(ScorePruner):
    """Keep a uniformly random subset.

    The choice follows from `seed`, the view's seed and the number of tokens alone: the same request
    gets the same tokens whatever else is in its batch, and torch's global generators are neither
    read nor advanced. A smaller count keeps a subset of what a larger one keeps.

    Parameters
    ----------
    seed : int
        Another seed, another draw.
    """

    seed: int = 0

    source: ClassVar[str] = "baseline"
    needs = frozenset[str]()
    site = "entry"

    def score(self, view: VisualView) -> Tensor:
        """Random ranks (N,), all different, on the host: nothing of the view is read."""
        # Hashed, as in a sum (seed 0, view 1) would draw the same as (seed 1, view 0).
        digest = blake2b(f"{self.seed},{view.seed}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
        return torch.randperm(len(view), generator=generator)
