"""Redundant: drop the visual tokens that most resemble another one, deep in the model."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.views import VisualView
from saccade.pruners.base import ScorePruner


@dataclass(frozen=True, repr=False)
class Redundant(ScorePruner):
    """Keep the visual tokens whose final states are least like any other's.

    A token's redundancy is the highest cosine similarity of its state behind the last layer, after
    the final norm, with that of another visual token that is there, in the step before.

    Notes
    -----
    The pruner of the progressive scheme of arXiv 2511.15098; its policy is ``cumulative``.
    """

    source: ClassVar[str] = "progressive scheme of arXiv 2511.15098"
    needs = frozenset({"final:before"})
    site = "entry"

    def score(self, view: VisualView) -> Tensor:
        """Less the redundancy (N,); higher is kept. Tokens that were not there come last.

        Raises
        ------
        PlanError
            Before the first step, which nothing precedes.
        """
        states = view.of("final:before").float()
        there = ~states.isnan().any(dim=1)
        if not bool(there.any()):
            raise PlanError(
                f"{self!r} reads states of the step before, and there is none before the first; "
                "let the policy drop after one step or more (cumulative)"
            )
        out = states.new_full((len(states),), -2.0)
        out[there] = -nearest_similarity(states[there])
        return out


def nearest_similarity(states: Tensor) -> Tensor:
    """Highest cosine similarity (N,) of each of states (N, D) with another; -1 where there is only
    one."""
    units = torch.nn.functional.normalize(states, dim=1)
    similarity = units @ units.T
    similarity.fill_diagonal_(-1.0)
    return similarity.amax(dim=1)
