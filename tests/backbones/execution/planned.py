"""Plans given in advance, pruners that remember what they were shown, and looks at the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from saccade.backbones import Prepared
from saccade.controller import (
    BasePolicy,
    Drop,
    Plan,
    Pruner,
    Selection,
    Signals,
    StepState,
    Trace,
    VisualView,
)


@dataclass
class Planned(BasePolicy):
    """One plan per step."""

    plans: Sequence[Plan]
    reads: frozenset[str] = frozenset()

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return self.plans[state.step]

    def reset(self) -> None: ...


@dataclass
class Spy:
    """A pruner that remembers what it was shown."""

    inner: Pruner
    views: list[VisualView] = field(default_factory=list)

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    @property
    def site(self) -> Any:
        return self.inner.site

    def select(self, view: VisualView, n: int) -> Selection:
        self.views.append(view)
        return self.inner.select(view, n)


def visual_counts(trace: Trace) -> list[tuple[int, ...]]:
    return [step.visual_per_layer for step in trace]


def plan_of(*drops: tuple[int, float], reselect: bool = False) -> Plan:
    return Plan(tuple(Drop(*drop) for drop in drops), reselect=reselect)


def survivors(request: Prepared, kept: Sequence[int], response: int) -> list[int]:
    visual = request.visual_positions
    lost = set(visual.tolist()) - set(visual[list(kept)].tolist())
    return [i for i in range(len(request) + response) if i not in lost]


def same_signals(a: Signals, b: Signals) -> bool:
    return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(Signals))


def _same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
    return a == b
