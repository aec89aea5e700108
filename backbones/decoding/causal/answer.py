"""The answer of one sequence while an autoregressive model writes it. Host only."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.commit import Commit
from saccade.backbones.execution.sequence import Clone
from saccade.backbones.inputs.stops import AnswerStop, Decode, Ending, answer_text, first_stop
from saccade.controller.types import StepState


class CausalAnswer:
    """State of one sequence's answer.

    Parameters
    ----------
    settings : CausalSettings
    stops : sequence of token id lists or TextStop
        The answer ends before the first of these.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Written so far.
    done : bool
    """

    def __init__(self, settings: CausalSettings, stops: Sequence[AnswerStop] = ()) -> None:
        self.settings, self.stops = settings, tuple(stops)
        self._ending: Ending | None = None
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
        return tuple(ids if self._ending is None else ids[: self._ending.at])

    def text(self, decode: Decode) -> str:
        """The text before the first stop, or all."""
        return answer_text(self.ids.tolist(), self._ending, decode)

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

    def branched(self, clone: Clone) -> Self:
        """A copy that can go on without this one noticing; only its ids are changed in place."""
        own = copy.copy(self)
        own.ids = self.ids.clone()
        return own

    def eligible(self) -> Tensor:
        """The one position that a step decides."""
        return self.masked

    def commit(self, chosen: Tensor) -> Commit:
        """Write a token, `chosen` (1,), and see whether it ends the answer."""
        at = len(self.ids)
        self.ids = torch.cat([self.ids, chosen])
        self._ending = first_stop(self.ids.tolist(), self.stops)
        full = len(self.ids) >= self.settings.gen_length
        self.done = full or self._ending is not None
        return Commit(1, (at,), (at,))
