"""Density-peak clustering with k nearest neighbours, as SparseVLM clusters what it drops."""

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


def cluster(points: Tensor, n: int, noise: Tensor | None = None) -> Clusters:
    """Cluster points around the `n` that are dense and far from any denser one.

    Density is ``exp(-mean of squared distances to the n nearest)``, the point itself among them,
    distances being Euclidean over the square root of the width; the score is density times distance
    to the nearest denser point (to the farthest of all, for the densest). O(t^2) time and memory.

    Parameters
    ----------
    points : Tensor (t, D) float32
    n : int
        1 to t.
    noise : Tensor (t,), optional
        In [0, 1); a millionth of it is added to the densities, so that equal ones differ. None:
        equally dense points count as denser in their order.

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
    if noise is None:
        place = torch.arange(len(points), device=points.device)
        denser |= (density[None] == density[:, None]) & (place[None] < place[:, None])
    else:
        density = density + 1e-6 * noise
        denser = density[None] > density[:, None]
    farthest = distances.max()
    gap = distances.where(denser, farthest).amin(dim=1)
    score = gap * density
    centers = score.sort(descending=True, stable=True).indices[:n]
    assigned = distances[:, centers].argmin(dim=1)
    assigned[centers] = torch.arange(n, device=points.device)
    return Clusters(density, score, centers, assigned)


def cluster_means(points: Tensor, clusters: Clusters) -> Tensor:
    """Sum of each cluster over its count and a millionth, (c, D)."""
    n = len(clusters.centers)
    sums = points.new_zeros(n, points.shape[1]).index_add_(0, clusters.assigned, points)
    counts = torch.bincount(clusters.assigned, minlength=n)
    return sums / (counts[:, None] + 1e-6)
