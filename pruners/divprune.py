"""DivPrune: keep the tokens that differ most from each other."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.protocols import Site
from saccade.controller.views import Selection, VisualView
from saccade.pruners.base import ChoosingPruner, check_count

ROWS_AT_ONCE = 256
"""Rows of the distance matrix that exist at the same time."""


@dataclass(frozen=True, slots=True, repr=False)
class DivPrune(ChoosingPruner):
    """Keep tokens far from each other in cosine distance, farthest point first.

    Neither the text nor any attention is read. `farthest_points` says how the tokens are picked.

    Notes
    -----
    DivPrune, arXiv 2503.02175, section 3. Says in addition what happens where the paper's rule has
    no answer: a token is never picked twice, a zero vector has a distance, and one token is enough.
    Distances are in float32.
    """

    source: ClassVar[str] = "DivPrune, arXiv 2503.02175"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    site: ClassVar[Site] = "entry"

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens.

        Raises
        ------
        PlanError
            If a feature is NaN or infinite.
        """
        return Selection(farthest_points(view.features, n).sort().values)


def farthest_points(features: Tensor, n: int) -> Tensor:
    """Pick `n` points, each the one farthest from those picked before.

    The first is the point whose nearest neighbour is farthest.

    The distance of two points is 1 - cosine, in float32; the distance to a set is that to its
    nearest member. Of equally far points the one with the lowest index is picked. Where every
    remaining point equals a picked one, the picks go on among those: they are always distinct.

    Takes O(N^2 D) time. The N x N distances never exist at once: memory is that of the features and
    of `ROWS_AT_ONCE` rows of N distances.

    Parameters
    ----------
    features : Tensor (N, D)
        The lengths of the vectors do not matter. A zero vector has no direction: it counts as
        orthogonal to all others (distance 1) and equal to any other zero vector (distance 0).
    n : int
        0 to N.

    Returns
    -------
    Tensor (n,) int64, on the CPU
        In the order of the picks. One copy brings them there, with what was found wrong.

    Raises
    ------
    PlanError
        If `n` is out of range, or a feature is NaN or infinite.
    """
    total = len(features)
    check_count(n, total)
    if n == 0:
        return torch.zeros(0, dtype=torch.int64)
    units, zero = unit_rows(features)
    pick = nearest_distances(units, zero).argmax(keepdim=True)
    picks, gaps = [pick], torch.full((total,), torch.inf, device=features.device)
    while len(picks) < n:  # picks stay tensors: no step waits for the device
        torch.minimum(gaps, distances_to(units, zero, pick), out=gaps)
        gaps.index_fill_(0, pick, -torch.inf)
        pick = gaps.argmax(keepdim=True)
        picks.append(pick)
    # NaN only makes the picks meaningless: they are made, and then refused.
    n_bad = (~features.isfinite()).any(dim=1).sum(dim=0, keepdim=True)
    host: Tensor = torch.cat([*picks, n_bad]).cpu()
    bad = int(host[n])
    if bad:
        raise PlanError(
            f"features of {bad} of {total} tokens are NaN or infinite: "
            "DivPrune cannot measure distances between them"
        )
    return host[:n]


def unit_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Scale rows (N, D) to length 1, float32; with 1.0 where a row is zero and stays so (N,)."""
    features = features.detach().float()
    # By the largest entry first, so that squares neither overflow nor vanish.
    largest = features.abs().amax(dim=1, keepdim=True)
    zero = largest == 0
    scaled = features / largest.where(~zero, 1.0)
    lengths: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / lengths.where(~zero, 1.0), zero[:, 0].float()


def distances_to(units: Tensor, zero: Tensor, pick: Tensor) -> Tensor:
    """Cosine distances (N,), in [0, 2], of all `unit_rows` to that numbered `pick` (1,)."""
    cosines = torch.mv(units, units.index_select(0, pick)[0])
    return cosines.addcmul_(zero, zero.index_select(0, pick)).neg_().add_(1.0)


def nearest_distances(units: Tensor, zero: Tensor) -> Tensor:
    """Cosine distance (N,) of each of the `unit_rows` to its nearest other; infinite if N is 1."""
    closest = []
    for start in range(0, len(units), ROWS_AT_ONCE):
        rows = units[start : start + ROWS_AT_ONCE]
        cosines = (rows @ units.T).addr_(zero[start : start + ROWS_AT_ONCE], zero)
        cosines.diagonal(start).fill_(-torch.inf)  # a row is not its own neighbour
        closest.append(cosines.amax(dim=1))
    return 1.0 - torch.cat(closest)
