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

Step = Callable[[], Sequence[str]]
"""What is done there; gives what is to be told."""


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
            ended = run_apart([_Sending(sink, runs) for sink in self.sinks], self.seconds)
        except Exception as error:
            self.tell(f"nothing was sent to the tracker: {type(error).__name__}: {error}")
            return ()
        for problem in ended.problems:
            self.tell(problem)
        if ended.late:
            self.tell(
                f"the tracker was stopped after {self.seconds:.0f} s; results are not touched, and "
                "the same command sends what is missing"
            )
        elif ended.broke:
            self.tell(f"the tracker {ended.broke}")
        return ended.notes


@dataclass(frozen=True, slots=True)
class _Sending:
    """A sink gets all runs."""

    sink: Sink
    runs: list[TrackedRun]

    def __call__(self) -> Sequence[str]:
        """Where they are."""
        try:
            for run in self.runs:
                self.sink.send(run)
        except Exception as error:
            name = type(self.sink).__name__
            raise RuntimeError(f"{name}: {error or type(error).__name__}") from error
        return self.sink.close()


@dataclass(frozen=True, slots=True)
class Ended:
    """How the other process ended.

    Attributes
    ----------
    notes, problems : list of str
        What its steps gave and raised.
    late : bool
        Whether it was stopped.
    broke : str
        How it ended by itself, telling nothing; empty if it did not.
    """

    notes: list[str]
    problems: list[str]
    late: bool
    broke: str


def run_apart(steps: Sequence[Step], seconds: float) -> Ended:
    """Take steps in a process of its own, one after the other; one that fails is passed over.

    Parameters
    ----------
    steps : sequence of Step
        That can be pickled.
    seconds : float
        For all of them together; what takes longer is killed, with all that it began.

    Raises
    ------
    OSError, pickle.PicklingError
        If it cannot begin.
    """
    work = pickle.dumps(list(steps))
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
    last = "".join(errors.decode(errors="replace").strip().splitlines()[-1:])[:300]
    problems = [own["problem"] for own in told if "problem" in own]
    broke = process.returncode != 0 and not problems and not late
    return Ended(
        [own["note"] for own in told if "note" in own],
        problems,
        late,
        f"ended with code {process.returncode}: {last}" if broke else "",
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
    """The other process: every step is taken; what one raises is told."""

    def say(**content: Any) -> None:
        out.write(json.dumps(content) + "\n")
        out.flush()

    for step in pickle.load(work):
        try:
            for note in step():
                say(note=note)
        except Exception as error:
            say(problem=f"{error or type(error).__name__}")


if __name__ == "__main__":
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print what they like; only ours is read
    main(sys.stdin.buffer, kept)
