"""The pages that are looked at, each made once by the command that people use."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from saccade.studies.cli import app
from saccade.studies.tasks.documents import make_sample

TRIALS = 75
"""Of the search: those that are always tried, and enough for importances."""
LONG = "half of the visual tokens, chosen at random, from the middle of the answer on"
HALF = 'method: random, group: "fixed, keep 50 %", pruner: "random()"'
STUDY = f"""
name: browser
models: [embedded/llada-v, embedded/lavida-dream]
samples: 2
batch: 2
tasks: [yesno, code]
baseline: none
cases:
  - name: none
  - {{name: watched, policy: "keep()", probe: all}}
  - {{name: auto, method: auto, group: "by signals", policy: "auto()"}}
  - {{name: half from the start, policy: "after_share(share=0.0, keep=0.5)", {HALF}}}
  - {{name: "{LONG}", policy: "after_share(share=0.5, keep=0.5)", {HALF}}}
"""
"""Tasks, cases and models for every part of a report."""


def saccade(*words: object) -> None:
    """Run a command."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def study_page(folder: Path) -> Path:
    """The report of a study."""
    config, page = folder / "study.yaml", folder / "report.html"
    config.write_text(STUDY, encoding="utf-8")
    saccade("study", "run", config, "--out", folder / "run")
    saccade("study", "show", folder / "run", "--report", page)
    return page


def comparison_page(folder: Path) -> Path:
    """The comparison report of a study, with samples side by side."""
    study_page(folder)
    page = folder / "comparison.html"
    saccade("report", folder / "run", "-o", page, "--samples", 4)
    return page


def trace_page(folder: Path) -> Path:
    """The trace of an answer to which tokens were dropped and brought back."""
    sample, page = make_sample("transcribe", 1), folder / "trace.html"
    sample.images[0].save(folder / "page.png")
    words = ["generate", folder / "page.png", sample.question, "--policy", "auto()"]
    words += [
        "--pruner",
        "divprune()",
        "--gen-length",
        64,
        "--steps",
        32,
    ]  # it is unsure of so many
    saccade(*words, "--trace", page)
    return page


def tune_page(folder: Path) -> Path:
    """The page of a search with as many settings as importances need."""
    words = ["tune", "run", "demo", "--task", "digit", "--samples", 2, "--trials", TRIALS]
    saccade(*words, "--workers", 1, "--out", folder / "run")
    return folder / "run" / "report.html"


PAGES: dict[str, Callable[[Path], Path]] = {
    "study": study_page,
    "comparison": comparison_page,
    "trace": trace_page,
    "tune": tune_page,
}
"""Every page by its name; what makes it in an empty folder, and returns its file."""
