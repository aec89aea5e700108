"""Sending from a process of its own, so that no tracker can break, block or outlive a result."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from saccade.studies.tracking.limits import SECONDS
from saccade.studies.tracking.sink import Sink, TrackedRun


@dataclass
class Apart:
    """A sink that hands runs to others in another process, when it is closed.

    Whatever goes wrong there is told, never raised: the results are on disk by then. What takes
    longer than it may is killed.

    Parameters
    ----------
    sinks : sequence of Sink
        That can be pickled.
    tell : callable
        Gets what went wrong, in words.
    seconds : float
        For all of them together.
    """

    sinks: Sequence[Sink]
    tell: Callable[[str], None]
    seconds: float = SECONDS
    _runs: list[TrackedRun] = field(default_factory=list)

    def send(self, run: TrackedRun) -> None:
        """Keep a run until the end."""
        self._runs.append(run)

    def close(self) -> Sequence[str]:
        """Send all of them; where everything is."""
        if not self._runs or not self.sinks:
            return ()
        runs, self._runs = self._runs, []
        try:
            return self._said(_run_child(pickle.dumps((list(self.sinks), runs)), self.seconds))
        except Exception as error:
            self.tell(f"nothing was sent to the tracker: {type(error).__name__}: {error}")
            return ()

    def _said(self, child: "_Child") -> Sequence[str]:
        """What the other process had to say, problems told."""
        for problem in child.problems:
            self.tell(problem)
        if child.late:
            self.tell(
                f"the tracker was stopped after {self.seconds:.0f} s; results are not touched, and "
                "the same command sends what is missing"
            )
        elif child.code != 0 and not child.problems:
            self.tell(f"the tracker ended with code {child.code}: {child.last}")
        return child.notes


@dataclass(frozen=True, slots=True)
class _Child:
    """How the other process ended: what it said, whether it was stopped, code, last line."""

    notes: list[str]
    problems: list[str]
    late: bool
    code: int
    last: str


def _run_child(work: bytes, seconds: float) -> _Child:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "saccade.studies.tracking.apart"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    late = False
    try:
        out, errors = process.communicate(work, timeout=seconds)
    except subprocess.TimeoutExpired:
        late = True
        _kill(process)
        out, errors = _left(process)
    finally:
        _kill(process)
    told = [_line(line) for line in out.splitlines()]
    last = errors.decode(errors="replace").strip().splitlines()[-1:]
    return _Child(
        [own["note"] for own in told if "note" in own],
        [own["problem"] for own in told if "problem" in own],
        late,
        process.returncode,
        "".join(last)[:300],
    )


def _left(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """What a killed process had written; what it began may hold its pipes open for a while."""
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired as error:
        return error.output or b"", error.stderr or b""


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it began."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _line(line: bytes) -> dict[str, str]:
    try:
        found = json.loads(line)
    except ValueError:  # of a library that prints
        return {}
    return found if isinstance(found, dict) else {}


def main(work: IO[bytes], out: IO[str]) -> None:
    """The other process: every sink gets every run; a sink that fails once is left alone."""
    sinks, runs = pickle.load(work)

    def say(**content: Any) -> None:
        out.write(json.dumps(content) + "\n")
        out.flush()

    for sink in sinks:
        try:
            for run in runs:
                sink.send(run)
        except Exception as error:
            say(problem=f"{type(sink).__name__}: {error or type(error).__name__}")
            continue
        try:
            for note in sink.close():
                say(note=note)
        except Exception as error:
            say(problem=f"{error or type(error).__name__}")


if __name__ == "__main__":
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print what they like; only ours is read
    main(sys.stdin.buffer, kept)
