"""How many positions each step of LaViDa-Dream commits (LaViDa, arXiv 2505.16839)."""

import math

import torch
from torch import Tensor

from saccade.controller.names import not_allowed

SCHEDULES = ("linear", "cosine", "shift", "logit_normal")
"""Names of the tables. (The published code takes any other name for "linear".)"""


def schedule_table(masked: int, steps: int, schedule: str, shift: float = 3.0) -> list[int]:
    """Positions to commit in each of ``min(steps, masked)`` steps; they sum up to `masked`.

    The share that is committed follows a curve over the steps, and the counts are reversed in the
    end: "shift" commits few positions early above 1 and many below. By the published recipe the sum
    is one less where a shift's curve ends a float32 rounding below 1 (0.58 or 1.43, not the
    published 0.33 and 3); that position stays masked.

    Parameters
    ----------
    masked, steps : int
    schedule : str
        One of `SCHEDULES`.
    shift : float
        Of the curve "shift", above 0.

    Raises
    ------
    ValueError
        If `schedule` is unknown.
    """
    if schedule not in SCHEDULES:
        raise ValueError(not_allowed("schedule", schedule, SCHEDULES))
    steps = min(steps, masked)
    if not steps:
        return []
    reached = (_curve(torch.linspace(0, 1, steps + 1), schedule, shift) * masked).to(torch.int64)
    counts = [max(1, n) for n in reached.diff().tolist()]
    at = 0
    while sum(counts) > masked:
        if counts[at % steps] > 1:
            counts[at % steps] -= 1
        at += 1
    return counts[::-1]


def _curve(u: Tensor, schedule: str, shift: float) -> Tensor:
    """Share (S + 1,) that is done at each point of `u`."""
    if schedule == "shift":
        return shift * u / (1 + (shift - 1) * u)
    if schedule == "cosine":
        return 1 - 0.5 * (1 + torch.cos(math.pi * u))
    if schedule == "logit_normal":
        u = torch.special.ndtr(torch.logit(u))
    return u


def time_grid(steps: int, eps: float = 1e-3) -> Tensor:
    """Times (steps + 1,) float32 from 1 down to `eps`."""
    return torch.linspace(1, eps, steps + 1)


def linear_count(masked: int, step: int, steps: int, times: Tensor) -> int:
    """Positions that step number `step` of `steps` commits of `masked` ones without a schedule.

    The share between two times, rounded down, and in the last step all. `times` may be longer than
    the steps need: with `step_ratio` the published code computes it first.
    """
    if step >= steps - 1:
        return masked
    return int(masked * (1 - times[step + 1] / times[step]))
