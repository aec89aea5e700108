"""What a step commits, and how many positions a rule takes."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Commit:
    """What one step committed: `picked` are the raw choices within the region, `filled` those that
    were masked and so received their token."""

    k: int
    picked: tuple[int, ...]
    filled: tuple[int, ...]


def factor_count(confidence: Tensor, factor: float, commit_failing_last: bool) -> int:
    """Positions that Fast-dLLM's factor rule commits, 1 or more.

    In descending order the r-th confidence has to reach ``1 - factor / (r + 1)``, the first
    nothing; those before the first that fails are committed. The published LLaDA-V calls the factor
    "threshold".

    Parameters
    ----------
    confidence : Tensor (M,)
        Of the masked positions, in any order; -inf where not eligible.
    factor : float
    commit_failing_last : bool
        Whether the last one is committed even if it alone fails, as in the published code.
    """
    ranked = confidence.sort(descending=True).values
    limits = 1 - factor / (torch.arange(len(ranked), dtype=ranked.dtype) + 2)
    limits[0] = float("-inf")
    failing = (ranked < limits).nonzero()
    if not len(failing):
        return len(ranked)
    first = int(failing[0])
    return first + (commit_failing_last and first == len(ranked) - 1)


def with_sure(picked: Tensor, sure: Tensor | None) -> Tensor:
    """Positions that are picked, and those (R,) that a rule is sure of."""
    return picked if sure is None else torch.cat([picked, sure.nonzero()[:, 0]]).unique()
