"""Bipartite soft matching: which tokens are folded into which, as in Token Merging.

ToMe, arXiv 2210.09461, section 3. Tokens at even places (set A) may be folded into tokens at odd
places (set B). What remains is not in its old order: first A's, then B's; `Matching.kept` says
where each came from. Differs in that no token is protected: the towers here have no class token.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saccade.controller.errors import PlanError

Mode = Literal["sum", "amin"]


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
    """

    unmerged: Tensor
    source: Tensor
    into: Tensor
    tokens: int

    @property
    def kept(self) -> Tensor:
        """Old place (B, t - r) of every remaining token."""
        places = torch.arange(self.tokens, device=self.source.device).expand(len(self.source), -1)
        return torch.cat([places[:, ::2].gather(1, self.unmerged), places[:, 1::2]], dim=1)

    def merge(self, x: Tensor, mode: Mode) -> Tensor:
        """Fold tokens (B, t, D) into (B, t - r, D): their sums, or their least entries."""
        even, odd = x[:, ::2], x[:, 1::2]
        d = x.shape[2]
        stays = even.gather(1, self.unmerged[..., None].expand(-1, -1, d))
        goes = even.gather(1, self.source[..., None].expand(-1, -1, d))
        index = self.into[..., None].expand(-1, -1, d)
        reduced = odd.scatter_reduce(1, index, goes, mode, include_self=True)
        return torch.cat([stays, reduced], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """Give every token (B, t, D) what it was folded into (B, t - r, D)."""
        n, d = self.unmerged.shape[1], x.shape[2]
        stays, odd = x[:, :n], x[:, n:]
        even = x.new_zeros(len(x), (self.tokens + 1) // 2, d)
        even.scatter_(1, self.unmerged[..., None].expand(-1, -1, d), stays)
        goes = odd.gather(1, self.into[..., None].expand(-1, -1, d))
        even.scatter_(1, self.source[..., None].expand(-1, -1, d), goes)
        out = x.new_zeros(len(x), self.tokens, d)
        out[:, ::2], out[:, 1::2] = even, odd
        return out


def match(metric: Tensor, r: int) -> Matching | None:
    """Match the `r` most similar tokens of A with tokens of B.

    Parameters
    ----------
    metric : Tensor (B, t, d)
        Compared by cosine. A zero row is orthogonal to all.
    r : int
        At most half of the tokens are folded, whatever it says.

    Returns
    -------
    Matching, or None if nothing is folded.

    Raises
    ------
    PlanError
        If the metric is NaN or infinite somewhere.
    """
    t = metric.shape[1]
    r = min(r, t // 2)
    if r <= 0:
        return None
    units = _units(metric)
    best, into = (units[:, ::2] @ units[:, 1::2].transpose(1, 2)).max(dim=2)
    order = best.sort(dim=1, descending=True, stable=True).indices
    source, unmerged = order[:, :r], order[:, r:]
    return Matching(unmerged, source, into.gather(1, source), t)


def merge_weighted(matching: Matching | None, x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Fold tokens (B, t, D) as averages weighted by their sizes (B, t, 1); the new sizes too."""
    if matching is None:
        return x, size
    total = matching.merge(size, "sum")
    return matching.merge(x * size, "sum") / total, total


def _units(metric: Tensor) -> Tensor:
    metric = metric.detach().float()
    if not bool(metric.isfinite().all()):
        raise PlanError("features are NaN or infinite: ToMe cannot compare such tokens")
    lengths: Tensor = torch.linalg.vector_norm(metric, dim=-1, keepdim=True)
    return metric / lengths.where(lengths > 0, 1.0)
