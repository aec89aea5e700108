"""ToMe: fold similar tokens into each other inside the vision tower."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.errors import CapabilityError
from saccade.controller.protocols import Site
from saccade.controller.types import round_keep
from saccade.controller.views import Selection, TowerAccess, VisualView
from saccade.pruners.base import ChoosingPruner
from saccade.pruners.matching import match, merge_weighted


@dataclass(frozen=True, repr=False)
class ToMe(ChoosingPruner):
    """Fold similar patches into each other in every layer of the vision tower.

    Between attention and MLP of each layer, the patches whose keys (mean over heads) are most alike
    are averaged, weighted by how many patches they stand for; each layer folds the same number. The
    tower then works on fewer patches, and a visual token stands for every group of them that is
    left, at the place of its first patch.

    Parameters
    ----------
    proportional : bool
        A patch that stands for s patches counts s times in the attention of later layers.

    Notes
    -----
    ToMe, arXiv 2210.09461. Where views are shrunk, or a picture has many tiles, a visual token lies
    over several patches: it goes with the patch under its centre, and a group is the mean of its
    tokens. The count is exact: groups are folded on behind the tower, or large ones split, where
    layers, newlines or the edges of tiles leave more or fewer than were asked for. A tower of few
    layers folds several times in each.
    """

    proportional: bool = True

    source: ClassVar[str] = "ToMe, arXiv 2210.09461"
    needs: ClassVar[frozenset[str]] = frozenset({"tower:run"})
    site: ClassVar[Site] = "tower"
    merges: ClassVar[bool] = True

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens, each with the features of its group.

        Raises
        ------
        PlanError
            If features in the tower are NaN or infinite.
        CapabilityError
            If the view has no tower.
        """
        total = len(view)
        if view.tower is None:
            raise CapabilityError(f"{self!r} needs 'tower:run'; the view has no vision tower")
        tower = view.tower
        folding = Folding(tower, max(1, round_keep(n / total, tower.n_patches)), self.proportional)
        rows = tower.run(folding)
        packed = tower.pack(rows.gather(1, folding.groups[..., None].expand(-1, -1, rows.shape[2])))
        labels = _labels(tower.owners, folding.groups, rows.shape[1])
        keep, features = exactly(packed.float(), labels, n)
        return Selection(keep, features=features.to(packed.dtype))


class Folding:
    """What ToMe does in each layer: a `saccade.controller.views.Reduce`.

    Parameters
    ----------
    tower : TowerAccess
    left : int
        Patches of each view that are left after the last layer.
    proportional : bool

    Attributes
    ----------
    size : Tensor (V, t, 1) or None
        How many patches each row stands for.
    groups : Tensor (V, patches) int64
        The row that stands for each patch.
    """

    def __init__(self, tower: TowerAccess, left: int, proportional: bool = True) -> None:
        share, more = divmod(tower.n_patches - left, tower.n_layers)
        self.folds = [share + (layer < more) for layer in range(tower.n_layers)]
        self.proportional = proportional
        self.size: Tensor | None = None
        self.groups = torch.arange(tower.n_patches).expand(tower.n_views, -1)

    def bias(self) -> Tensor | None:
        """Logarithm of the sizes, once there are any."""
        return None if self.size is None or not self.proportional else self.size[..., 0].log()

    def __call__(self, layer: int, hidden: Tensor, keys: Tensor) -> Tensor:
        """Fold this layer's number of rows, in several rounds if half of them is not enough."""
        left = hidden.shape[1] - self.folds[layer]
        metric = keys.float().mean(dim=1)
        size = hidden.new_ones(*hidden.shape[:2], 1) if self.size is None else self.size
        groups = self.groups.to(hidden.device)
        while hidden.shape[1] > left:
            matching = match(metric, hidden.shape[1] - left)
            if matching is None:
                break
            rows = torch.arange(hidden.shape[1] - matching.source.shape[1], device=hidden.device)
            moved = matching.unmerge(rows.expand(len(hidden), -1)[..., None].float())[..., 0].long()
            groups = moved.gather(1, groups)
            metric, _ = merge_weighted(matching, metric, size.float())
            hidden, size = merge_weighted(matching, hidden, size)
        self.size, self.groups = size, groups
        return hidden


def _labels(owners: Tensor, groups: Tensor, rows: int) -> Tensor:
    """A number (N,) for each visual token, the same for those of a group; newlines have their
    own."""
    views, patches = groups.shape
    flat = (groups.cpu() + rows * torch.arange(views)[:, None]).flatten()
    assert flat.shape == (views * patches,)
    alone = views * rows + torch.arange(len(owners))
    return torch.where(owners < 0, alone, flat[owners.clamp(min=0)])


def exactly(features: Tensor, labels: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Exactly `n` tokens that stand for groups.

    Parameters
    ----------
    features : Tensor (N, D) float32
    labels : Tensor (N,) int64, on the CPU
        Group of each token.
    n : int
        1 to N.

    Returns
    -------
    keep : Tensor (n,) int64, on the CPU
        Ascending; the first token of each group. Of too few groups, tokens of the largest stay too.
    features : Tensor (n, D)
        Means of the groups; of too many, the most similar are folded into each other.
    """
    _, groups = labels.unique(return_inverse=True)
    count = int(groups.max()) + 1
    firsts = torch.full((count,), len(labels)).scatter_reduce(
        0, groups, torch.arange(len(labels)), "amin"
    )
    order = firsts.argsort()
    firsts, groups = firsts[order], order.argsort()[groups]
    size = torch.bincount(groups, minlength=count)
    means = features.new_zeros(count, features.shape[1])
    means.index_add_(0, groups.to(features.device), features)
    weight = size.to(features)[:, None]
    means /= weight
    while len(means) > n:
        matching = match(means[None], len(means) - n)
        assert matching is not None
        firsts = matching.merge(firsts[None, :, None].to(means).long(), "amin")[0, :, 0].cpu()
        folded, sizes = merge_weighted(matching, means[None], weight[None])
        order = firsts.argsort()
        firsts, means = firsts[order], folded[0][order.to(means.device)]
        weight = sizes[0][order.to(means.device)]
    if len(means) < n:
        rest = torch.ones(len(labels), dtype=torch.bool).index_fill_(0, firsts, False)
        others = rest.nonzero()[:, 0]
        largest = size[groups[others]].sort(descending=True, stable=True).indices
        more = others[largest[: n - len(means)]]
        means = torch.cat([means, features[more.to(features.device)]])
        firsts, order = torch.cat([firsts, more]).sort()
        means = means[order.to(means.device)]
    return firsts, means
