"""One sequence of a call while it is decoded: what lives from its first step to its last."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch
from torch import Tensor

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.network.cache import Cache
from saccade.controller.step_record import StepRecord
from saccade.controller.types import StepState

Clone = Callable[[torch.Generator | None], torch.Generator | None]
"""Makes a generator that draws what another one will draw; the same one for the same."""


class Answer(Protocol):
    """The answer of one sequence while it is decoded; host only.

    Attributes
    ----------
    ids : Tensor (R,) int64
        Response, and a suffix where there is one; masked positions carry the mask id. An
        autoregressive answer grows.
    done : bool
    """

    ids: Tensor
    done: bool

    @property
    def masked(self) -> Tensor:
        """Positions (R,) bool that a step may still decide."""
        ...

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer so far, as it is returned."""
        ...

    @property
    def state(self) -> StepState:
        """What is known before the next step."""
        ...

    def eligible(self) -> Tensor:
        """Positions (R,) bool that may be committed now."""
        ...

    def text(self, decode: Callable[[Sequence[int]], str]) -> str:
        """The answer so far as text, to the character at which a stop begins."""
        ...

    def branched(self, clone: Clone) -> Self:
        """A copy that can go on without this one noticing."""
        ...


@dataclass(slots=True, eq=False)
class SequenceState:
    """One sequence while it is decoded: inputs, answer, random numbers, cache, records.

    Attributes
    ----------
    number : int
        In the call.
    inputs : Prepared
    answer : Answer
    generator : torch.Generator or None
        Of the model's random numbers, on its device; None for torch's global one.
    seed : int
        For pruners.
    cache : Cache or None
        None before the prompt was cached.
    age : int
        Steps since it was.
    records : list of StepRecord
    transfers : int
        Copies to the host so far.
    tower_macs : int
        Multiply-accumulates of the vision tower in this call.
    """

    number: int
    inputs: Prepared
    answer: Answer
    generator: torch.Generator | None
    seed: int
    cache: Cache | None = None
    age: int = 0
    records: list[StepRecord] = field(default_factory=list)
    transfers: int = 0
    tower_macs: int = 0

    @property
    def state(self) -> StepState:
        """What is known before the next step."""
        state = self.answer.state
        return state if self.cache is None else dataclasses.replace(state, cache_age=self.age)

    @property
    def n_visual(self) -> int:
        """Visual tokens before any reduction."""
        return len(self.inputs.visual_positions)
