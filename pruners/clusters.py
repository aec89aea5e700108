"""Density-peak clustering with k nearest neighbours, as SparseVLM (arXiv 2410.04417) clusters what
it drops."""

from typing import NamedTuple

import torch
from torch import Tensor

from saccade.controller.errors import PlanError


class Clusters(NamedTuple):
    """Clusters of t points.

    Attributes
    ----------
    density, score : Tensor (t,)
    centers : Tensor (c,) int64
        Points with the highest scores, highest first.
    assigned : Tensor (t,) int64
        Number of the cluster of each point; a centre's own is its own.
    """

    density: Tensor
    score: Tensor
    centers: Tensor
    assigned: Tensor


def cluster(points: Tensor, n: int) -> Clusters:
    """Cluster points around the `n` that are dense and far from any denser one.

    Density is ``exp(-mean of squared distances to the n nearest)``, the point itself among them,
    distances being Euclidean over the square root of the width; the score is density times distance
    to the nearest denser point (to the farthest of all, for the densest). Of equally dense points
    the first counts as denser. O(t^2) time and memory.

    Parameters
    ----------
    points : Tensor (t, D) float32
    n : int
        1 to t.

    Raises
    ------
    PlanError
        If points are NaN or infinite.
    """
    if not bool(points.isfinite().all()):
        raise PlanError("features are NaN or infinite: they cannot be clustered")
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances = distances * points.shape[1] ** -0.5
    nearest = distances.topk(n, largest=False).values
    density = (-nearest.square().mean(dim=1)).exp()
    denser = density[None] > density[:, None]
    place = torch.arange(len(points), device=points.device)
    denser |= (density[None] == density[:, None]) & (place[None] < place[:, None])
    farthest = distances.max()
    gap = distances.where(denser, farthest).amin(dim=1)
    score = gap * density
    centers = score.sort(descending=True, stable=True).indices[:n]
    assigned = distances[:, centers].argmin(dim=1)
    assigned[centers] = torch.arange(n, device=points.device)
    return Clusters(density, score, centers, assigned)
