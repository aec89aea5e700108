"""Local tasks in a folder, and what processes that run them need."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.lmms.local_tasks import LOCAL, environment, write_tasks

WAIT = 240
"""Seconds until a test gives up on a process."""
CASES = [
    {"name": "none"},
    {
        "name": "DivPrune, keep 50 %",
        "policy": "after_share(share=0.0, keep=0.5)",
        "pruner": "divprune()",
    },
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with local tasks, as HF_HOME of all processes that a test starts."""
    pytest.importorskip("lmms_eval")
    folder = tmp_path_factory.mktemp("home")
    write_tasks(folder / "tasks", folder, ["mme", "chartqa"], repeat=8)
    write_tasks(folder / "tasks", folder, ["video_dc499"])
    before = dict(os.environ)
    os.environ |= environment(folder)
    yield folder
    os.environ.clear()
    os.environ |= before


@pytest.fixture
def study_file(home: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a study over the local tasks of these benchmarks."""

    def write(*tasks: str, cases: int = 2, **more: object) -> Path:
        content = {
            "name": "small",
            "models": ["embedded/llada-v"],
            "tasks": [f"{name}_{LOCAL}" for name in tasks],
            "include_path": str(home / "tasks"),
            "cases": CASES[:cases],
            **more,
        }
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def wait_for(found: Callable[[], object]) -> None:
    """Wait until something is true; fails where it never is."""
    end = time.monotonic() + WAIT
    while not found():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def evaluating(folder: Path) -> list[psutil.Process]:
    """Processes that evaluate a cell below a folder, launchers included."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "lmms_eval" in line and any(str(folder) in part for part in line):
            found.append(process)
    return found


def n_answers(folder: Path) -> int:
    """Answers that are on disk below a folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("answers-*.jsonl"))
