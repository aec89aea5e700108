"""The answer of one sequence while LaViDa-LLaDA denoises it, block by block. Host only."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from saccade.backbones.decoding.canvas import Canvas
from saccade.backbones.decoding.commit import Commit, with_sure
from saccade.backbones.decoding.lavida.schedules import schedule_table
from saccade.backbones.decoding.lavida_llada.settings import BlockSettings
from saccade.backbones.decoding.llada.answer import transfer_schedule
from saccade.backbones.execution.sequence import Clone
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import StepState


class BlockAnswer(Canvas):
    """State of one sequence's answer (LaViDa over LLaDA, arXiv 2505.16839).

    Blocks are finished in order. A block whose positions are all filled ends before its steps do;
    one whose steps are over leaves what is still masked to later blocks, where it may be committed.

    Parameters
    ----------
    settings : BlockSettings
    mask_id : int
    stops : sequence of token id lists or TextStop
        The returned answer is cut at the first of these.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Masked positions carry `mask_id`.
    done : bool
    """

    def __init__(
        self, settings: BlockSettings, mask_id: int, stops: Sequence[AnswerStop] = ()
    ) -> None:
        self.settings, self.mask_id, self.stops = settings, mask_id, tuple(stops)
        self.ids = torch.full((settings.gen_length,), mask_id)
        self.forwards, self.block, self.done = 0, -1, False
        self._counts: list[int] = []
        self._advance()

    @property
    def state(self) -> StepState:
        """What is known before the next forward."""
        masked = int(self.masked.sum())
        return StepState(
            step=self.forwards,
            n_steps=self.settings.steps_per_block * self.settings.n_blocks,
            block=self.block,
            n_blocks=self.settings.n_blocks,
            masked=masked,
            committed=self.settings.gen_length - masked,
        )

    def branched(self, clone: Clone) -> Self:
        """A copy that can go on without this one noticing; only its ids are changed in place."""
        own = copy.copy(self)
        own.ids, own._counts = self.ids.clone(), list(self._counts)
        return own

    @property
    def _end(self) -> int:
        """Where the present block ends."""
        return (self.block + 1) * self.settings.block_length

    @property
    def _masked_in_block(self) -> int:
        start = self.block * self.settings.block_length
        return int(self.masked[start : self._end].sum())

    def eligible(self) -> Tensor:
        """Positions (R,) bool that may be committed now: masked, and before the block's end."""
        eligible = self.masked
        eligible[self._end :] = False
        return eligible

    def commit(self, chosen: Tensor, confidence: Tensor, sure: Tensor | None = None) -> Commit:
        """Commit this step's tokens.

        Parameters
        ----------
        chosen : Tensor (R,) int64
            Candidate id per position. One that is the mask id leaves its position masked.
        confidence : Tensor (R,)
            -inf where not eligible.
        sure : Tensor (R,) bool, optional
            Positions that are committed in addition to the schedule's.

        Returns
        -------
        Commit
            Of which `filled` are the positions that are no longer masked.
        """
        k = min(self._counts.pop(0), int(torch.isfinite(confidence).sum()))
        picked = with_sure(confidence.topk(k).indices, sure)
        self.ids[picked] = chosen[picked]
        filled = picked[~self.masked[picked]]
        self.forwards += 1
        self._advance()
        return Commit(len(picked), tuple(sorted(picked.tolist())), tuple(sorted(filled.tolist())))

    def _advance(self) -> None:
        """Move to the next block where this one is filled, or has no step left."""
        while not self._counts or not self._masked_in_block:
            if self.block + 1 == self.settings.n_blocks:
                self.done = True
                return
            self.block += 1
            self._counts = self._new_counts(self._masked_in_block)

    def _new_counts(self, masked: int) -> list[int]:
        s = self.settings
        if s.schedule is None:
            return transfer_schedule(masked, s.steps_per_block)
        return schedule_table(masked, s.steps_per_block, s.schedule, s.shift)
