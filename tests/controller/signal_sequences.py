"""Made-up signals, step by step, and what a policy plans over them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from saccade.controller import BasePolicy, Plan, Signals, StepState
from saccade.controller.signals import signal_change

N_LAYERS, N_ROWS = 4, 8


def signals(
    answer: float = 0.2,
    picture: float = 0.5,
    confidence: float | Sequence[float] = 0.5,
    masked: int = N_ROWS,
    layers: Sequence[float] | None = None,
    received: Sequence[float] = (0.9, 0.1, 0.0, 0.0),
) -> Signals:
    """Attention masses, the same in all layers unless `layers` gives those to the picture, and
    confidences of eight positions, of which the last `masked` are masked; what four visual tokens
    received."""
    sure = [confidence] * N_ROWS if isinstance(confidence, float) else confidence
    still = torch.arange(N_ROWS) >= N_ROWS - masked
    visual = torch.full((N_LAYERS,), picture) if layers is None else torch.tensor(layers)
    return Signals(
        attention_visual_masked=visual,
        attention_response_masked=torch.full((N_LAYERS,), answer),
        received=torch.tensor(received),
        confidence=torch.tensor(sure, dtype=torch.float64),
        masked=still,
    )


def run(policy: BasePolicy, shown: Sequence[Signals], n_steps: int | None = None) -> list[Plan]:
    """Plans of a call in which step i showed ``shown[i]``; one more than there are signals."""
    policy.reset()
    total = n_steps or len(shown) + 1
    plans, before = [], None
    for step in range(len(shown) + 1):
        plans.append(policy.plan(state(step, total), before))
        if step < len(shown):
            before = replace(shown[step], change=signal_change(shown[step], before))
    return plans


def state(step: int, n_steps: int) -> StepState:
    return StepState(step, n_steps, 0, 1, max(n_steps - step, 0), step)


def keeps(plans: Sequence[Plan]) -> list[float]:
    """Keep ratio of every plan."""
    return [plan.drops[0].keep if plan.drops else 1.0 for plan in plans]
