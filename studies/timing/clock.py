"""How long a piece of work takes, on any device."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


def timed(work: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """What `work` gives, and its wall time in seconds; a GPU is waited for before and after."""
    _synchronise(device)
    started = time.perf_counter()
    result = work()
    _synchronise(device)
    return result, time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
