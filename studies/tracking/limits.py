"""How long trackers may take."""

import math
import os
import threading
from collections.abc import Callable
from typing import TypeVar

LIMIT = "SACCADE_TRACK_SECONDS"
"""Environment variable: seconds in all."""
SECONDS = 600.0
"""That many without it."""
T = TypeVar("T")


def time_limit() -> float:
    """Seconds that trackers may take.

    Raises
    ------
    ValueError
        If the environment says something that cannot be.
    """
    text = os.environ.get(LIMIT, "")
    try:
        seconds = float(text) if text else SECONDS
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 86400:
        raise ValueError(f"{LIMIT}={text!r}: must be a number of seconds, 1 to 86400")
    return seconds


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do some work, and wait no longer for it than that; it then ends with the process.

    Raises
    ------
    TimeoutError
        If it takes longer.
    Exception
        Of the work itself.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def do() -> None:
        try:
            done.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError
    return done[0]
