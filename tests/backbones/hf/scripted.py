"""A policy that follows a script, and a pruner whose choice is easy to foresee."""

from typing import Any, ClassVar

import torch

from saccade.controller import BasePolicy, Plan, Selection, Signals, StepState, VisualView


class Script(BasePolicy):
    """The plan of the last step named up to now."""

    reads = frozenset({"attention", "confidence"})

    def __init__(self, plans: dict[int, Plan]) -> None:
        self.plans = plans

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return self.plans[max(step for step in self.plans if step <= state.step)]


class Spread:
    """Keeps evenly spread tokens of those that are there."""

    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    site = "entry"

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(spread(len(view), n))


class Fewer(Spread):
    """The same, and fewer for some pictures than for others."""

    adaptive = True

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(spread(len(view), max(1, n - len(view) % 5)))


def spread(total: int, n: int) -> torch.Tensor:
    return torch.linspace(0, total - 1, n).round().long().unique() if n > 1 else torch.arange(n)


def readable(plan: Plan, n_visual: int, layers: int, pick: Any = spread) -> list[torch.Tensor]:
    """Numbers of the visual tokens that every layer reads under a plan, by hand."""
    out, left = [], torch.arange(n_visual)
    for layer in range(layers):
        for drop in plan.drops:
            n = round(drop.keep * n_visual)
            if drop.layer == layer and n < len(left):
                left = left[pick(len(left), n)]
        out.append(left[:0] if layer in plan.bypass else left)
    return out
