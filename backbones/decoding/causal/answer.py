"""The answer of one sequence while an autoregressive model writes it. Host only."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.commit import Commit, first_stop
from saccade.controller.types import StepState


class CausalAnswer:
    """State of one sequence's answer.

    Parameters
    ----------
    settings : CausalSettings
    stops : sequence of token id lists
        The answer ends before the first of these.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Written so far.
    done : bool
    """

    def __init__(self, settings: CausalSettings, stops: Sequence[Sequence[int]] = ()) -> None:
        self.settings, self.stops = settings, [list(stop) for stop in stops]
        self.ids = torch.zeros(0, dtype=torch.int64)
        self.done = False

    @property
    def masked(self) -> Tensor:
        """The one position that a step decides."""
        return torch.ones(1, dtype=torch.bool)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The ids before the first stop, or all."""
        ids: list[int] = self.ids.tolist()
        return tuple(ids[: first_stop(ids, self.stops)])

    @property
    def state(self) -> StepState:
        """What is known before the next step."""
        written, length = len(self.ids), self.settings.gen_length
        return StepState(
            step=written,
            n_steps=length,
            block=0,
            n_blocks=1,
            masked=length - written,
            committed=written,
        )

    def eligible(self) -> Tensor:
        """The one position that a step decides."""
        return self.masked

    def commit(self, chosen: Tensor) -> Commit:
        """Write a token, `chosen` (1,), and see whether it ends the answer."""
        at = len(self.ids)
        self.ids = torch.cat([self.ids, chosen])
        stopped = first_stop(self.ids.tolist(), self.stops) is not None
        self.done = stopped or len(self.ids) >= self.settings.gen_length
        return Commit(1, (at,), (at,))
