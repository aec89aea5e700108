"""What the command line shows while a model is loaded: the log's lines, and a bar if it takes
long."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from saccade.studies.cli.consoles import err, note, warn
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.backbones.checkpoints.weights import Progress

SLOW = 2.0
"""Seconds without a bar."""
MEGABYTE = 10**6
LOGGER = "saccade.backbones.loading"


class _Told(logging.Handler):
    """Says what the log says as notes and warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        say = warn if record.levelno >= logging.WARNING else note
        say(record.getMessage())


@contextmanager
def told(level: int = logging.INFO) -> Iterator[None]:
    """Show the lines of the loader's log from a level on."""
    log, handler = logging.getLogger(LOGGER), _Told(level)
    before = log.level
    log.addHandler(handler)
    log.setLevel(min(level, before or level))
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextmanager
def bar_if_slow() -> Iterator["Progress"]:
    """A function for `load` that shows a bar of megabytes once reading takes longer than `SLOW`."""
    started = time.monotonic()
    with Steps(err(), transient=True) as bar:

        def show(done: int, total: int) -> None:
            if time.monotonic() - started > SLOW:
                bar.update(done // MEGABYTE, total // MEGABYTE, "reading weights, MB")

        yield show
