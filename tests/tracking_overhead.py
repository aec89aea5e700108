"""How much slower a study is with a tracker: paired runs of one command, in turns.

    python -m tests.tracking_overhead STUDY [--samples N] [--repeats N] [--out FILE]

Each repeat runs ``saccade study run`` plainly, with ``--wandb`` (offline) and with
``--tensorboard``, in an order that changes, each in an empty folder. Times are told until the
results are written and shown, and of the whole command; CPU time is that of the command with all
processes that it began.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WAYS = {"plain": (), "wandb": ("--wandb",), "tensorboard": ("--tensorboard", "board")}
SHOWN = "report "
"""The line with which a command has shown its results."""
Times = dict[str, float]


def measured(study: str, samples: int, way: str) -> Times:
    """Run the command once in a folder of its own; seconds."""
    command = [sys.executable, "-m", "saccade.studies.cli", "study", "run", study]
    command += ["--samples", str(samples), "--threads", "1", *WAYS[way]]
    hidden = {"WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_PROJECT"}
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    before, began, shown = _cpu(), time.perf_counter(), math.nan
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in process.stdout or ():
            if line.startswith(SHOWN):
                shown = time.perf_counter() - began
        if process.wait() != 0:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        whole = time.perf_counter() - began
    return {"shown": shown, "whole": whole, "cpu": _cpu() - before}


def _cpu() -> float:
    """Seconds of CPU of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratios(runs: Sequence[dict[str, Times]], way: str) -> Times:
    """Geometric means over repeats of a way's times to those of the plain run beside it."""
    return {
        kind: math.exp(sum(math.log(r[way][kind] / r["plain"][kind]) for r in runs) / len(runs))
        for kind in ("shown", "whole", "cpu")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study")
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    study = str(Path(given.study).resolve()) if Path(given.study).exists() else given.study
    runs: list[dict[str, Times]] = []
    for repeat in range(given.repeats):
        turn = list(WAYS)[repeat % 3 :] + list(WAYS)[: repeat % 3]
        runs.append({way: measured(study, given.samples, way) for way in turn})
        sys.stderr.write(f"{json.dumps(runs[-1])}\n")
    told = {way: ratios(runs, way) for way in list(WAYS)[1:]}
    text = json.dumps(
        {"study": given.study, "samples": given.samples, "ratios": told, "runs": runs}
    )
    sys.stdout.write(f"{text}\n")
    if given.out is not None:
        given.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
