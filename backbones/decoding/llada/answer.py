"""The answer of one sequence while it is denoised: blocks, schedule, commits, stops. Host only.

As LLaDA-V decodes (arXiv 2505.16933), with masked positions found by id.
"""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from saccade.backbones.decoding.commit import Commit, factor_count, with_sure
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.execution.sequence import Clone
from saccade.backbones.inputs.stops import AnswerStop, Decode, Ending, TextStop, find_stop
from saccade.controller.types import StepState


def transfer_schedule(masked: int, steps: int) -> list[int]:
    """Positions to commit in each of a block's steps: as even as can be, remainder first."""
    return [masked // steps + (i < masked % steps) for i in range(steps)]


class LladaAnswer:
    """State of one sequence's answer.

    Parameters
    ----------
    settings : GenerateSettings
    prompt_len : int
        Tokens before the response (visual ones included).
    mask_id : int
    stops : sequence of token id lists or TextStop
        In the order in which they are searched.
    suffix : sequence of int
        Ids after the response.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Response then suffix; masked positions carry `mask_id`.
    done : bool
    """

    def __init__(
        self,
        settings: GenerateSettings,
        prompt_len: int,
        mask_id: int,
        stops: Sequence[AnswerStop] = (),
        suffix: Sequence[int] = (),
    ) -> None:
        self.settings, self.prompt_len, self.mask_id = settings, prompt_len, mask_id
        self.stops = tuple(stops)
        self.ids = torch.tensor([mask_id] * settings.gen_length + list(suffix))
        self.ending: Ending | None = None
        self.forwards, self.block = 0, -1
        self._schedule: list[int] = []
        self._next_in_block = 0
        self.done = False
        self._advance()

    @property
    def stop_pos(self) -> int | None:
        """Position of the token with which the stop begins; None without one."""
        return None if self.ending is None else self.ending.at

    @property
    def masked(self) -> Tensor:
        """Masked positions (R,) bool."""
        return self.ids == self.mask_id

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer so far: ids before the stop, then the suffix."""
        return (*self._before_stop, *self._suffix)

    @property
    def _before_stop(self) -> list[int]:
        ids: list[int] = self.ids[: self.settings.gen_length][: self.stop_pos].tolist()
        return ids

    @property
    def _suffix(self) -> list[int]:
        ids: list[int] = self.ids[self.settings.gen_length :].tolist()
        return ids

    def text(self, decode: Decode) -> str:
        """The answer so far as text, to the character at which the stop begins."""
        if self.ending is None or not self.ending.rest:
            return decode(self.tokens)
        return decode(self._before_stop) + self.ending.rest + decode(self._suffix)

    @property
    def state(self) -> StepState:
        """What is known before the next forward."""
        masked = int(self.masked[: self.settings.gen_length].sum())
        return StepState(
            step=self.forwards,
            n_steps=self.settings.steps,
            block=self.block,
            n_blocks=self.settings.n_blocks,
            masked=masked,
            committed=self.settings.gen_length - masked,
        )

    @property
    def block_start(self) -> int:
        """First position of the present block."""
        return self._bounds()[0]

    @property
    def step_in_block(self) -> int:
        """Steps done in the present block."""
        return self._next_in_block

    def _bounds(self) -> tuple[int, int]:
        start = self.block * self.settings.block_length
        return start, start + self.settings.block_length

    def _advance(self) -> None:
        """Move to the next step that needs a forward, through as many blocks as it takes."""
        while not self.done:
            if self.block >= 0 and self._step_remains():
                return
            self.block += 1
            start, end = self._bounds()
            stopped = self.stop_pos is not None and self.stop_pos <= start
            if stopped or self.block >= self.settings.n_blocks:
                self.done = True
                return
            steps = self.settings.steps // self.settings.n_blocks
            self._schedule = transfer_schedule(int(self.masked[start:end].sum()), steps)
            self._next_in_block = 0

    def _step_remains(self) -> bool:
        start, end = self._bounds()
        masked = self.masked
        complete = self.stop_pos is not None and not bool(masked[: self.stop_pos].any())
        filled = not bool(masked[start:end].any())
        # A step by the factor rule commits one position or more, unless it chose the mask id.
        by_rule = self.settings.factor is not None
        last = self.settings.block_length if by_rule else len(self._schedule)
        return not complete and not filled and self._next_in_block < last

    def branched(self, clone: Clone) -> Self:
        """A copy that can go on without this one noticing; only its ids are changed in place."""
        own = copy.copy(self)
        own.ids = self.ids.clone()
        return own

    def eligible(self) -> Tensor:
        """Positions (R,) bool that may be committed now: masked, and before the block's end (before
        the stop once one is known); leftovers of earlier blocks included."""
        limit = self._bounds()[1] if self.stop_pos is None else self.stop_pos
        eligible = self.masked
        eligible[limit:] = False
        return eligible

    def commit(
        self,
        chosen: Tensor,
        confidence: Tensor,
        cached: int | None = None,
        sure: Tensor | None = None,
    ) -> Commit:
        """Commit this step's tokens and look for a stop.

        Parameters
        ----------
        chosen : Tensor (R,) int64
            Candidate id per position.
        confidence : Tensor (R,)
            -inf where not eligible.
        cached : int, optional
            Response positions before it were read from a cache, as was the prompt.
        sure : Tensor (R,) bool, optional
            Positions that are committed in addition to the schedule's.

        Returns
        -------
        Commit
        """
        first = 0 if cached is None else cached
        k = self._number(confidence[first:], self.masked[first:])
        if sure is not None:  # earlier steps may have left less of the block than was scheduled
            k = min(k, int(self.masked[first : self._bounds()[1]].sum()))
        if not self.settings.commit_ineligible:
            k = min(k, int(torch.isfinite(confidence).sum()))
        # The published code ranks all rows of its forward; equal values are ordered by that.
        before = self.prompt_len if cached is None else -cached
        ranked = torch.full((before + len(self.ids),), float("-inf"), dtype=confidence.dtype)
        ranked[max(0, before) :] = confidence[first:]
        picked = torch.topk(ranked, k).indices - before
        picked = with_sure(picked[picked >= 0], sure)
        filled = picked[self.masked[picked]]
        self.ids[filled] = chosen[filled]
        self._search_stops(self.mask_id)
        self.forwards += 1
        self._next_in_block += 1
        self._advance()
        if self.done:  # what is still masked now stays so, and has no text
            self._search_stops(None)
        return Commit(k, tuple(sorted(picked.tolist())), tuple(sorted(filled.tolist())))

    def _number(self, confidence: Tensor, masked: Tensor) -> int:
        """How many positions this step commits."""
        factor = self.settings.factor
        if factor is None:
            return self._schedule[self._next_in_block]
        return factor_count(confidence[masked], factor, self.settings.commit_failing_last)

    def _search_stops(self, absent: int | None) -> None:
        """Find where the answer ends. Published code, once it knows a stop, looks further for the
        first criterion alone. Texts are looked for always, as none may be left in an answer, but
        never across a token `absent`."""
        ids = self.ids[: self.settings.gen_length].tolist()
        for i, stop in enumerate(self.stops):
            known = self.ending is not None and not self.settings.search_all_stops
            if known and i > 0 and not isinstance(stop, TextStop):
                continue
            found = find_stop(ids, stop, self.stops, absent)
            if found is not None and (self.ending is None or found < self.ending):
                self.ending = found
