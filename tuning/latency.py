"""Measured time: a setting and the unpruned model in turns, in one process, one at a time."""

import contextlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from saccade.controller.controller import Controller
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.setting import Setting

REPEATS = 5
QUICK = 3
"""Repeats where every trial is measured."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """A measured speed-up: geometric mean over repeats, and its 95 % interval (Student's, on
    logarithms); NaN for one repeat."""

    mean: float
    low: float
    high: float


def measure(
    evaluation: Evaluation,
    setting: Setting,
    repeats: int = REPEATS,
    tell: Callable[[int, int], None] | None = None,
) -> SpeedUp:
    """Time the first batch of samples without a controller and with it, in an order that changes.

    One repeat before is not timed. No two processes of a machine measure at the same time.

    Parameters
    ----------
    evaluation : Evaluation
    setting : Setting
    repeats : int
    tell : callable, optional
        ``tell(done, total)`` in repeats.
    """
    controller = evaluation.controller(setting.policy, setting.pruner)
    sides = (None, controller)
    logs = []
    with _alone():
        for repeat in range(repeats + 1):
            seconds = [0.0, 0.0]
            for side in (0, 1) if repeat % 2 else (1, 0):
                seconds[side] = _timed(evaluation, sides[side])
            if repeat:
                logs.append(math.log(seconds[0] / seconds[1]))
            if tell is not None:
                tell(repeat, repeats)
    return _interval(logs)


def relative_time(evaluation: Evaluation, setting: Setting) -> float:
    """Measured time relative to that of the unpruned model; lower is better."""
    return 1 / measure(evaluation, setting, QUICK).mean


def _interval(logs: list[float]) -> SpeedUp:
    from scipy.stats import t as student

    mean, n = statistics.fmean(logs), len(logs)
    if n < 2:
        return SpeedUp(math.exp(mean), math.nan, math.nan)
    half = float(student.ppf(0.975, n - 1)) * statistics.stdev(logs) / math.sqrt(n)
    return SpeedUp(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _timed(evaluation: Evaluation, controller: Controller | None) -> float:
    _synchronise(evaluation.model.device)
    started = time.perf_counter()
    evaluation.answer_batch(controller)
    _synchronise(evaluation.model.device)
    return time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process of this user measures; where there are no such locks, go on."""
    if sys.platform == "win32":
        yield
        return
    import fcntl
    import os

    path = Path(tempfile.gettempdir()) / f"saccade-latency-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
