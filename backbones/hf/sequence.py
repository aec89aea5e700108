"""One sequence of a call: where its visual tokens stand, what is planned for it, what it showed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from saccade.backbones.hf.picture_grids import Grid, laid_out, runs
from saccade.controller.plan import Plan
from saccade.controller.step_record import StepRecord
from saccade.controller.types import StepState


@dataclass(slots=True, eq=False)
class CallSequence:
    """One sequence of a generate call.

    Positions are counted through all that its row of the batch holds: padding, what a cache that
    was given holds, prompt, answer.

    Attributes
    ----------
    number : int
        In the call.
    start, first, prompt : int
        First position that is no padding, first that this call computes, and the one behind the
        prompt.
    visual : Tensor (N,) int64
        Positions of the visual tokens that this call computes.
    centers, images : Tensor (N, 2) and (N,)
        As in `VisualView`.
    features, text : Tensor (N, D) and (T, D), or None before the prompt ran
        Rows that enter the language model: of the visual tokens, and of what follows them.
    records : list of StepRecord
    tokens : list of int
        The answer so far.
    age : int
        Steps since the prompt was computed.
    transfers : int
        Copies of signals and choices to the host.
    done : bool
        Whether its answer is finished; others of the batch may go on.
    """

    number: int
    start: int
    first: int
    prompt: int
    visual: Tensor
    centers: Tensor
    images: Tensor
    features: Tensor | None = None
    text: Tensor | None = None
    records: list[StepRecord] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    age: int = 0
    transfers: int = 0
    done: bool = False

    @property
    def n_visual(self) -> int:
        """Visual tokens before any reduction."""
        return len(self.visual)

    @property
    def words(self) -> Tensor:
        """Positions (T,) of the prompt after its last visual token, of those that are computed."""
        begin = int(self.visual[-1]) + 1 if len(self.visual) else max(self.start, self.first)
        return torch.arange(begin, self.prompt)


@dataclass(slots=True, eq=False)
class Step:
    """What is known and planned of one sequence in a step.

    Attributes
    ----------
    state : StepState
    plan : Plan
    masked : Tensor (R,) bool
        Positions of the answer that the step may decide.
    watched : frozenset of int
        Layers whose attention is measured.
    accumulates : bool
        Whether its pruner may ask, in the next step, what this one shows.
    refreshed : bool
        Whether the prompt is computed in it.
    """

    state: StepState
    plan: Plan
    masked: Tensor
    watched: frozenset[int] = frozenset()
    accumulates: bool = False
    refreshed: bool = False

    def drop_before(self, layer: int) -> float | None:
        """Keep ratio of the drop planned before a layer; None without one."""
        return next((drop.keep for drop in self.plan.drops if drop.layer == layer), None)


def sequences_of(
    ids: Tensor, mask: Tensor | None, cached: int, visual_ids: Sequence[int], grids: Sequence[Grid]
) -> list[CallSequence]:
    """The sequences of a call.

    Parameters
    ----------
    ids : Tensor (B, L) int64
        Of all positions, those in a cache included (as whatever they are).
    mask : Tensor (B, L) or None
        0 where a position is padding.
    cached : int
        Positions whose keys a given cache holds; their visual tokens stay as they are.
    visual_ids : sequence of int
    grids : sequence of (int, int)
        Rows and columns of the pictures, in order.
    """
    ids = ids.cpu()
    found = torch.isin(ids, torch.tensor(visual_ids))
    found[:, :cached] = False
    visual = [row.nonzero()[:, 0] for row in found]
    laid = laid_out(grids, [len(own) for own in visual])
    out = []
    for number, own in enumerate(visual):
        nowhere = torch.full((len(own), 2), torch.nan)
        centers, images = (nowhere, runs(own)) if laid is None else laid[number]
        start = 0 if mask is None else int(mask[number].cpu().bool().int().argmax())
        out.append(CallSequence(number, start, cached, ids.shape[1], own, centers, images))
    return out
