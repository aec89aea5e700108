"""Which positions a plan's rule commits in addition to those of the schedule."""

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import factor_count
from saccade.controller.plan import CommitRule


def sure_positions(rule: CommitRule, confidence: Tensor, eligible: Tensor) -> Tensor:
    """Positions (R,) bool that a rule commits.

    Parameters
    ----------
    rule : CommitRule
    confidence : Tensor (R,)
        Softmax probability of the candidate, in [0, 1]; NaN where not forwarded, which is never
        committed.
    eligible : Tensor (R,) bool
        Positions that may be committed now.
    """
    there = eligible & ~confidence.isnan()
    if rule.kind == "threshold":
        return there & (confidence >= rule.value)
    out = torch.zeros_like(there)
    if bool(there.any()):
        n = factor_count(confidence[there], rule.value, commit_failing_last=False)
        best = confidence.masked_fill(~there, -torch.inf).topk(n).indices
        out[best] = True
    return out
