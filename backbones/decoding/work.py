"""What one step has to do for each sequence, and for those that share a forward."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from saccade.backbones.decoding.outcome import Count
from saccade.backbones.decoding.scheme import Decoding, Pass, Proposal
from saccade.backbones.execution.active import Active
from saccade.backbones.execution.plan_hook import PlanHook
from saccade.controller.types import StepState


@dataclass(slots=True, eq=False)
class Work:
    """One sequence in the present step: what was known and planned, what it forwards."""

    decoding: Decoding
    state: StepState
    active: Active
    work: Pass
    counts: list[Count] = field(default_factory=list)
    transfers: int = 1
    begun: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Sequences that share a forward, and what it gave."""

    items: list[Work]
    hook: PlanHook | None
    choice: Proposal
    tables: tuple[Tensor, ...]


def response_ids(item: Work) -> Tensor:
    """Ids of the response positions that a step forwards."""
    prompt, work = len(item.decoding.inputs), item.work
    return item.decoding.answer.ids[max(0, work.start - prompt) : work.stop - prompt]


def numbers(items: Sequence[Work]) -> tuple[int, ...]:
    return tuple(item.decoding.number for item in items)
