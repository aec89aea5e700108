"""Bipartite soft matching: which tokens are folded into which, after Token Merging.

Source: ToMe, arXiv 2210.09461, ``tome/merge.py`` at commit af95e4b. Tokens at even places (set A)
may be folded into tokens at odd places (set B). What remains is not in its old order: first A's,
then B's; `Matching.kept` says where each came from.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saccade.controller.errors import PlanError

Mode = Literal["mean", "sum", "amax", "amin"]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """A plan to fold r of t tokens into others, for each of B sequences.

    Attributes
    ----------
    unmerged : Tensor (B, a - r) int64
        Tokens of A that stay, as numbers in A.
    source, into : Tensor (B, r) int64
        Tokens of A that are folded, and the tokens of B they are folded into, as numbers in B.
    tokens : int
        t, of which the first ``(t + 1) // 2`` even ones are A.
    distilled : bool
        Whether the first of B stands second in the output, as DeiT's token does.
    """

    unmerged: Tensor
    source: Tensor
    into: Tensor
    tokens: int
    distilled: bool = False

    @property
    def kept(self) -> Tensor:
        """Old place (B, t - r) of every remaining token."""
        places = torch.arange(self.tokens, device=self.source.device)[None, :, None]
        even, odd = places[:, ::2, 0], places[:, 1::2, 0]
        batch = len(self.source)
        return self._joined(
            even.expand(batch, -1).gather(1, self.unmerged)[..., None],
            odd.expand(batch, -1)[..., None],
        )[..., 0]

    def merge(self, x: Tensor, mode: Mode = "mean") -> Tensor:
        """Fold tokens (B, t, D) into (B, t - r, D); a mean counts every token once."""
        even, odd = x[:, ::2], x[:, 1::2]
        d = x.shape[2]
        stays = even.gather(1, self.unmerged[..., None].expand(-1, -1, d))
        goes = even.gather(1, self.source[..., None].expand(-1, -1, d))
        index = self.into[..., None].expand(-1, -1, d)
        reduced = odd.scatter_reduce(1, index, goes, mode, include_self=True)
        return self._joined(stays, reduced)

    def unmerge(self, x: Tensor) -> Tensor:
        """Give every token (B, t, D) what it was folded into (B, t - r, D)."""
        n, d = self.unmerged.shape[1], x.shape[2]
        if self.distilled:
            stays = torch.cat([x[:, :1], x[:, 2 : n + 1]], dim=1)
            odd = torch.cat([x[:, 1:2], x[:, n + 1 :]], dim=1)
        else:
            stays, odd = x[:, :n], x[:, n:]
        even = x.new_zeros(len(x), (self.tokens + 1) // 2, d)
        even.scatter_(1, self.unmerged[..., None].expand(-1, -1, d), stays)
        goes = odd.gather(1, self.into[..., None].expand(-1, -1, d))
        even.scatter_(1, self.source[..., None].expand(-1, -1, d), goes)
        out = x.new_zeros(len(x), self.tokens, d)
        out[:, ::2], out[:, 1::2] = even, odd
        return out

    def _joined(self, even: Tensor, odd: Tensor) -> Tensor:
        if self.distilled:
            return torch.cat([even[:, :1], odd[:, :1], even[:, 1:], odd[:, 1:]], dim=1)
        return torch.cat([even, odd], dim=1)


def match(
    metric: Tensor, r: int, *, class_token: bool = False, distill_token: bool = False
) -> Matching | None:
    """Match the `r` most similar tokens of A with tokens of B.

    Parameters
    ----------
    metric : Tensor (B, t, d)
        Compared by cosine. A zero row is orthogonal to all.
    r : int
        At most half of the tokens that are not protected are folded, whatever it says.
    class_token, distill_token : bool
        Whether the first, and the second, token is one that never is folded (or folded into).

    Returns
    -------
    Matching, or None if nothing is folded.

    Raises
    ------
    PlanError
        If the metric is NaN or infinite somewhere.
    """
    t = metric.shape[1]
    r = min(r, (t - class_token - distill_token) // 2)
    if r <= 0:
        return None
    units = _units(metric)
    scores = units[:, ::2] @ units[:, 1::2].transpose(1, 2)
    if class_token:
        scores[:, 0] = -torch.inf
    if distill_token:
        scores[..., 0] = -torch.inf
    best, into = scores.max(dim=2)
    order = best.sort(dim=1, descending=True, stable=True).indices
    source, unmerged = order[:, :r], order[:, r:]
    if class_token:
        unmerged = unmerged.sort(dim=1).values
    return Matching(unmerged, source, into.gather(1, source), t, distill_token)


def match_every(metric: Tensor, k: int, x: Tensor, mode: Mode = "mean") -> tuple[Tensor, Tensor]:
    """Fold all tokens but every `k`-th into their best k-th ones; what is beyond the last is lost.

    Returns
    -------
    merged : Tensor (B, t // k, D)
    into : Tensor (B, (t // k) (k - 1)) int64
        Of the folded tokens, in their order.
    """
    groups = metric.shape[1] // k
    units = _units(metric)[:, : groups * k].unflatten(1, (groups, k))
    values = x[:, : groups * k].unflatten(1, (groups, k))
    sources, targets = units[:, :, :-1].flatten(1, 2), units[:, :, -1]
    into = (sources @ targets.transpose(1, 2)).argmax(dim=2)
    index = into[..., None].expand(-1, -1, x.shape[2])
    goes = values[:, :, :-1].flatten(1, 2)
    return values[:, :, -1].scatter_reduce(1, index, goes, mode, include_self=True), into


def merge_weighted(matching: Matching | None, x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Fold tokens (B, t, D) as averages weighted by their sizes (B, t, 1); the new sizes too."""
    if matching is None:
        return x, size
    total = matching.merge(size, "sum")
    return matching.merge(x * size, "sum") / total, total


def schedule(layers: int, r: int | list[int] | tuple[int, float]) -> list[int]:
    """How many tokens each layer folds.

    Parameters
    ----------
    layers : int
    r : int, list of int, or (int, float)
        The same in all layers; one per layer, zeros where the list ends; or a mean with a slope:
        (r, 1) rises from 0 to 2 r, (r, -1) falls from 2 r to 0, (r, 0) is constant.
    """
    if isinstance(r, list):
        return [*r, *[0] * (layers - len(r))]
    mean, slope = (r[0], r[1]) if isinstance(r, tuple) else (r, 0.0)
    least = int(mean * (1.0 - slope))
    step = (2 * mean - least - least) / (layers - 1) if layers > 1 else 0.0
    return [int(least + step * i) for i in range(layers)]


def _units(metric: Tensor) -> Tensor:
    metric = metric.detach().float()
    if not bool(metric.isfinite().all()):
        raise PlanError("features are NaN or infinite: ToMe cannot compare such tokens")
    lengths: Tensor = torch.linalg.vector_norm(metric, dim=-1, keepdim=True)
    return metric / lengths.where(lengths > 0, 1.0)
