"""Cells of a study over benchmarks: one case on one task, in processes of its own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.lmms.config import LmmsStudy, arguments_of, slug
from saccade.studies.runs.files import lock_folder, replacing
from saccade.studies.tasks.json_lines import parse_line, read_lines

DONE, ANSWERS, RESULTS, LOG, LOCK = "done.json", "answers", "results", "log.txt", ".lock"
SUBMISSIONS = "submissions"
"""Folder in which tasks write files of their own."""
SHOWN = 3
"""Lines of a failed cell's log that its error shows."""


@dataclass(frozen=True, slots=True)
class How:
    """How cells run; no answer depends on it but for rounding.

    Attributes
    ----------
    processes : int
        That share the documents of a cell, through ``accelerate launch``.
    device : str or None
        As in `saccade.load`.
    environment : mapping of str to str
        Variables of the processes, beside ours.
    """

    processes: int = 1
    device: str | None = None
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One case on one task of one model.

    Attributes
    ----------
    model, case, task : str
    folder : Path
        Its own.
    arguments : mapping
        The plug-in's ``model_args``.
    include_path : Path or None
    limit : int or None
    """

    model: str
    case: str
    task: str
    folder: Path
    arguments: Mapping[str, Any]
    include_path: Path | None = None
    limit: int | None = None

    @property
    def key(self) -> str:
        """Hash of all that its results depend on."""
        parts = [self.task, dict(self.arguments), str(self.include_path), self.limit]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def label(self) -> str:
        return f"{self.task}: {self.case}"


def cells_of(study: LmmsStudy, model: str, folder: Path, dtype: str | None = None) -> list[Cell]:
    """All cells of a study on one model, task by task, the baseline first in each."""
    cases = sorted(study.on(model), key=lambda case: case.name != study.baseline)
    include = None if study.include_path is None else study.include_path.resolve()
    return [
        Cell(
            model,
            case.name,
            task,
            folder / "cells" / slug(task) / _folder_name(case.name),
            {**arguments_of(study, model, case, task), "dtype": dtype},
            include,
            study.limit,
        )
        for task in study.tasks
        for case in cases
    ]


def _folder_name(case: str) -> str:
    """Names of cases may differ in signs that no folder's name has."""
    return f"{slug(case)}-{hashlib.sha256(case.encode()).hexdigest()[:6]}"


def command(cell: Cell, how: How) -> list[str]:
    """The command that answers and scores a cell."""
    own = {**cell.arguments, "device": how.device}
    own["answers"] = str((cell.folder / ANSWERS).resolve())
    parts = ["--model", "saccade", "--model_args", written_arguments(own), "--tasks", cell.task]
    parts += ["--output_path", str((cell.folder / RESULTS).resolve()), "--log_samples"]
    parts += ["--batch_size", str(cell.arguments["batch_size"])]
    parts += ["--seed", str(cell.arguments["seed"]), "--verbosity", "DEBUG"]
    parts += [] if cell.include_path is None else ["--include_path", str(cell.include_path)]
    parts += [] if cell.limit is None else ["--limit", str(cell.limit)]
    launch = [sys.executable, "-m"]
    if how.processes > 1:
        launch += ["accelerate.commands.launch", "--num_processes", str(how.processes)]
        launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        # Of its launchers only this one starts several processes here, on CPUs, too.
        launch += ["--main_process_port", "0", "--multi_gpu", "-m"]
    return [*launch, "lmms_eval", *parts]


def _on_cpu(how: How) -> dict[str, str]:
    """Without it accelerate's processes on CPUs do not find each other."""
    import torch

    cpu = how.device == "cpu" or not torch.cuda.is_available()
    return {"ACCELERATE_USE_CPU": "true"} if cpu else {}


def written_arguments(arguments: Mapping[str, Any]) -> str:
    """``model_args`` as the plug-in reads them; what is not given is left out."""
    parts = []
    for name, value in arguments.items():
        if value is None or value == {}:
            continue
        text = json.dumps(value) if isinstance(value, Mapping) else str(value)
        plain = isinstance(value, Mapping) or not set(text) & set(",()[]{}'\"= ")
        quote = "'" if '"' in text else '"'
        parts.append(f"{name}={text}" if plain else f"{name}={quote}{text}{quote}")
    return ",".join(parts)


def is_done(cell: Cell) -> bool:
    """Whether a cell has its results."""
    try:
        found = json.loads((cell.folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found.get("key") == cell.key)


def run_cell(cell: Cell, how: How, check: Callable[[Cell], None] | None = None) -> None:
    """Answer and score a cell; one that was interrupted goes on with the answers it has.

    Parameters
    ----------
    cell : Cell
    how : How
    check : callable, optional
        Asked before the cell is done; may raise `StudyError`.

    Raises
    ------
    StudyError
        If it fails: the end of its log.
    """
    cell.folder.mkdir(parents=True, exist_ok=True)
    with (cell.folder / LOCK).open("a") as lock:
        lock_folder(lock.fileno(), cell.folder)
        if is_done(cell):
            return
        results = cell.folder / RESULTS
        shutil.rmtree(results, ignore_errors=True)  # of a try before
        with (cell.folder / LOG).open("wb") as log:
            code = subprocess.run(
                command(cell, how),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_on_cpu(how), **(how.environment or {})},
                preexec_fn=_ends_with_us if sys.platform == "linux" else None,
                check=False,
            ).returncode
        official = _official(cell) if code == 0 else None
        if official is None:
            raise StudyError(f"{cell.label} failed ({_end_of(cell.folder / LOG)})")
        if check is not None:
            check(cell)
        with replacing(cell.folder / DONE) as partial:
            done = {"key": cell.key, "official": official}
            partial.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")


def _ends_with_us() -> None:
    """Have the system end this process when the one that started it is gone, however it went."""
    import ctypes
    import signal

    parent_death = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(parent_death, signal.SIGTERM)


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{log}: {' / '.join(line.strip() for line in lines[-SHOWN:])}"


def _official(cell: Cell) -> dict[str, float] | None:
    """The official scores of a cell, by metric, in the task's order; None if there are none."""
    every = sorted((cell.folder / RESULTS).rglob("*_results.json"))
    found = [path for path in every if path.parent.name != SUBMISSIONS]
    if not found or not sorted((cell.folder / RESULTS).rglob(f"*_samples_{cell.task}.jsonl")):
        return None
    results = json.loads(found[-1].read_text(encoding="utf-8"))["results"].get(cell.task, {})
    return {
        name.partition(",")[0]: float(value)
        for name, value in results.items()
        if isinstance(value, int | float) and "stderr" not in name and name != "samples"
    }


def official_scores(cell: Cell) -> dict[str, float]:
    """Official scores of a cell that is done, by metric."""
    content = json.loads((cell.folder / DONE).read_text(encoding="utf-8"))
    return {name: float(value) for name, value in content["official"].items()}


def logged_samples(cell: Cell) -> list[dict[str, Any]]:
    """The answers of a cell that is done, as lmms-eval logs them, by document."""
    path = sorted((cell.folder / RESULTS).rglob(f"*_samples_{cell.task}.jsonl"))[-1]
    samples = [parse_line(line) for _, line in read_lines(path)]
    return sorted(samples, key=lambda sample: int(sample["doc_id"]))
