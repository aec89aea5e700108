"""No tracker can block, break or outlive what it is told about."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from saccade.studies.tracking.apart import Apart
from saccade.studies.tracking.sink import Sink, TrackedRun
from tests.studies.tracking.sinks import Broken, Hanging, Noting, Refusing

RUNS = [TrackedRun(f"case-{n}", "x", "g", "case", {}, {}) for n in range(3)]


def send(sinks: Sequence[Sink], seconds: float = 120) -> tuple[Sequence[str], list[str]]:
    problems: list[str] = []
    sink = Apart(sinks, problems.append, seconds)
    for run in RUNS:
        sink.send(run)
    return sink.close(), problems


def test_runs_arrive_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    notes, problems = send([Noting(path)])
    assert (notes, problems) == ([f"noted in {path}"], [])
    assert path.read_text().split() == [run.id for run in RUNS]


def test_a_sink_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    notes, problems = send([Refusing(), Noting(tmp_path / "ids")])
    assert problems == ["Refusing: no thanks"] and len(notes) == 1


def test_a_sink_that_hangs_is_stopped(tmp_path: Path) -> None:
    notes, problems = send([Hanging()], seconds=3)
    assert not notes
    assert problems == [
        "the tracker was stopped after 3 s; results are not touched, and the same command sends "
        "what is missing"
    ]


def test_a_process_that_ends_is_told(tmp_path: Path) -> None:
    _, (problem,) = send([Broken()])
    assert problem.startswith("the tracker ended with code 7")


def test_a_process_that_cannot_begin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", os.devnull)
    _, (problem,) = send([Refusing()])
    assert problem.startswith("nothing was sent to the tracker: PermissionError")


def test_the_other_process_loads_nothing_heavy() -> None:
    code = (
        "import sys, saccade.studies.tracking.apart, saccade.studies.tracking.wandb_sink, "
        "saccade.studies.tracking.tensorboard_sink, saccade.studies.tracking.wandb_report, "
        "saccade.studies.tracking.wandb_download\n"
        "heavy = {'torch', 'pandas', 'plotly', 'wandb', 'tensorboard', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
