"""What one step has to do for each sequence, and which sequences share a forward."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from saccade.backbones.active import Active
from saccade.backbones.decoding.outcome import Count
from saccade.backbones.decoding.scheme import Choice, Decoding, Pass
from saccade.backbones.execution import PlanHook
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
    choice: Choice
    tables: tuple[Tensor, ...]


def response_ids(item: Work) -> Tensor:
    """Ids of the response positions that a step forwards."""
    prompt, work = len(item.decoding.inputs), item.work
    return item.decoding.answer.ids[max(0, work.start - prompt) : work.stop - prompt]


def alike(items: Sequence[Work]) -> list[list[Work]]:
    """Sequences that can share a forward: the same rows of it, or all from the start on."""

    def kind(item: Work) -> tuple[int, ...]:
        work = item.work
        rows = work.stop - work.start if work.start else 0
        return int(work.prefill), rows, work.queries, work.first, int(work.keep > 0)

    ordered = sorted(items, key=kind)
    return [list(group) for _, group in itertools.groupby(ordered, kind)]


def numbers(items: Sequence[Work]) -> tuple[int, ...]:
    return tuple(item.decoding.number for item in items)
