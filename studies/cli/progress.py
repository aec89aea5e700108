"""Progress on stderr: a bar with an estimate on a terminal, else a plain line now and then."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Steps:
    """Shows how far a long command is; use it in a ``with`` block.

    Parameters
    ----------
    console : Console
    every : float
        Seconds between plain lines where the console is not a terminal.
    transient : bool
        Whether the bar goes away in the end, and a console that is not a terminal is left alone.
    """

    def __init__(self, console: Console, every: float = 30.0, transient: bool = False) -> None:
        self.console, self.every, self.transient = console, every, transient
        self.done, self.total = 0, 0
        self._section: str | None = None
        self._task = TaskID(0)
        self._start = (0.0, 0)
        self._said, self._place = float("-inf"), (-1, -1)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=transient,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, done: int, total: int, label: str, section: str = "") -> None:
        """Say that `done` of `total` are done; each `section` gets a bar of its own."""
        if section != self._section:
            self._begin(done, total, section)
        self.done, self.total = done, total
        text = escape(f"{section} {label}".strip())
        self._bar.update(self._task, completed=done, total=total, description=text)
        if not (self.console.is_terminal or self.transient):
            self._say(f"{section} {label}".strip())

    def _begin(self, done: int, total: int, section: str) -> None:
        # What an earlier run did must not count as speed of this one.
        self._section, self._start = section, (time.monotonic(), done)
        self._place = (-1, -1)
        self._task = self._bar.add_task(escape(section), total=total, completed=done)

    def _say(self, text: str) -> None:
        now, place = time.monotonic(), (self.done, self.total)
        over = self.done >= self.total and self._place != place
        if self._place == place or not (over or now - self._said >= self.every):
            return
        self._said, self._place = now, place
        line = f"{text} {self.done}/{self.total}{self._left(now)}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self, now: float) -> str:
        began, first = self._start
        if self.done <= first or self.done >= self.total:
            return ""
        seconds = (now - began) / (self.done - first) * (self.total - self.done)
        return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
