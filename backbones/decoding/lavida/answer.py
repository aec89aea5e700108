"""The answer of one sequence while LaViDa-Dream denoises it. Host only."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from saccade.backbones.decoding.canvas import Canvas
from saccade.backbones.decoding.commit import Commit, with_sure
from saccade.backbones.decoding.filtered import SMALLEST
from saccade.backbones.decoding.lavida.schedules import linear_count, schedule_table, time_grid
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.execution.sequence import Clone
from saccade.backbones.inputs.stops import AnswerStop
from saccade.controller.types import StepState


class LavidaAnswer(Canvas):
    """State of one sequence's answer as LaViDa-Dream denoises it (LaViDa, arXiv 2505.16839).

    The published loop runs all its steps; here it ends as soon as no position is masked, or a
    schedule's table is used up, which gives the same answer.

    Parameters
    ----------
    settings : LavidaSettings
    mask_id : int
    stops : sequence of token id lists or TextStop
        The returned answer is cut at the first of these.
    generator : torch.Generator or None
        On the CPU, for positions that are committed by chance; None for torch's global one.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Masked positions carry `mask_id`.
    done : bool
    """

    def __init__(
        self,
        settings: LavidaSettings,
        mask_id: int,
        stops: Sequence[AnswerStop] = (),
        generator: torch.Generator | None = None,
    ) -> None:
        self.settings, self.mask_id, self.generator = settings, mask_id, generator
        self.stops = tuple(stops)
        self.ids = torch.full((settings.gen_length,), mask_id)
        self.step, self.done = 0, False
        self._times = time_grid(min(settings.steps, settings.gen_length), settings.eps)
        self._table = self._new_table()

    def begin(self, token: int) -> None:
        """Take the first token, before any step. The mask token leaves its position masked."""
        self.ids[0] = token
        self._table = self._new_table()

    def _new_table(self) -> list[int] | None:
        schedule, masked = self.settings.schedule, int(self.masked.sum())
        if schedule is None:
            return None
        return schedule_table(masked, self.settings.n_steps, schedule, self.settings.shift)

    @property
    def state(self) -> StepState:
        """What is known before the next forward."""
        masked = int(self.masked.sum())
        return StepState(
            step=self.step,
            n_steps=self.settings.n_steps,
            block=0,
            n_blocks=1,
            masked=masked,
            committed=self.settings.gen_length - masked,
        )

    def branched(self, clone: Clone) -> Self:
        """A copy that can go on without this one noticing; only its ids are changed in place."""
        own = copy.copy(self)
        own.ids = self.ids.clone()
        own.generator = clone(self.generator)
        return own

    def eligible(self) -> Tensor:
        """Positions (R,) bool that may be committed now: all that are masked."""
        return self.masked

    def commit(self, chosen: Tensor, confidence: Tensor, sure: Tensor | None = None) -> Commit:
        """Commit this step's tokens.

        Parameters
        ----------
        chosen : Tensor (R,) int64
            Candidate id per position. One that is the mask id leaves its position masked.
        confidence : Tensor (R,)
            -inf where not masked.
        sure : Tensor (R,) bool, optional
            Positions that are committed in addition to the schedule's.

        Returns
        -------
        Commit
            Of which `filled` are the positions that are no longer masked.
        """
        masked = self.masked.nonzero()[:, 0]
        if self.settings.alg == "origin":
            picked = masked[self._by_chance(len(masked))]
        else:
            picked = masked[self._surest(confidence[masked])]
        picked = with_sure(picked, sure)
        self.ids[picked] = chosen[picked]
        filled = picked[~self.masked[picked]]
        self.step += 1
        left = self.settings.n_steps if self._table is None else len(self._table)
        self.done = self.step >= left or not bool(self.masked.any())
        return Commit(len(picked), tuple(sorted(picked.tolist())), tuple(sorted(filled.tolist())))

    def _by_chance(self, n: int) -> Tensor:
        """Which of `n` masked positions are committed; all in the last step."""
        t, last = self._times, self.step >= self.settings.n_steps - 1
        share = 1.0 if last else float(1 - t[self.step + 1] / t[self.step])
        return torch.rand(n, generator=self.generator) < share

    def _surest(self, confidence: Tensor) -> Tensor:
        """Places among the masked positions that are committed, by their confidences (M,)."""
        n = len(confidence)
        if self._table is None:
            k = linear_count(n, self.step, self.settings.n_steps, self._times)
        else:  # of a one-token answer the prompt may leave nothing, and then the table is empty
            k = min(n, self._table[self.step]) if n else 0
        if not k:
            return torch.zeros(0, dtype=torch.int64)
        if self.settings.alg_temp == 0:
            return confidence.topk(k).indices
        chances = _chances(confidence, self.settings.alg_temp)
        if int((chances > 0).sum()) < k:  # too cold to draw as many: the surest
            return confidence.topk(k).indices
        return torch.multinomial(chances, k, generator=self.generator)


def _chances(confidence: Tensor, alg_temp: float) -> Tensor:
    """Chances (M,) of positions to be committed; of differences where the dtype ends."""
    chances = (confidence / alg_temp).softmax(-1)
    if bool(chances.isfinite().all()):
        return chances
    wide = confidence.double()
    return ((wide - wide.max()) / max(alg_temp, SMALLEST)).softmax(-1)
