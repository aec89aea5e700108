"""The pages that are looked at, each made once by the command that people use."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from saccade.studies.cli import app
from saccade.studies.tasks.documents import make_sample
from tests.browser.changed_runs import HOSTILE, STUDY_OF_HOSTILE, changed, every_kind, hostile

Find = Callable[[str], Path]
"""The file of another page, made if it is not there yet."""
TRIALS = 75
"""Of the search: those that are always tried, and enough for importances."""
SAMPLES = 10
"""That the comparison report shows side by side."""
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
TINY = "--width 64 --layers 2 --heads 2 --mlp 64 --side 4 --gen-length 4 --steps 2 --repeats 2"
"""A bench of a moment."""


def saccade(*words: object) -> str:
    """Run a command, and return what it printed."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def study_page(folder: Path, find: Find) -> Path:
    """The report of a study."""
    config, page = folder / "study.yaml", folder / "report.html"
    config.write_text(STUDY, encoding="utf-8")
    saccade("study", "run", config, "--out", folder / "run")
    saccade("study", "show", folder / "run", "--report", page)
    return page


def trace_page(folder: Path, find: Find) -> Path:
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


def tune_page(folder: Path, find: Find) -> Path:
    """The page of a search with as many settings as importances need."""
    words = ["tune", "run", "demo", "--task", "digit", "--samples", 2, "--trials", TRIALS]
    saccade(*words, "--workers", 1, "--out", folder / "run")
    return folder / "run" / "report.html"


def report_page(folder: Path, find: Find) -> Path:
    """The comparison of a study, a search, a bench and a preset; its samples are of every kind."""
    study, search = changed(find("study").parent / "run", folder / "run", every_kind), find("tune")
    bench, preset, page = folder / "bench.json", folder / "preset.json", folder / "report.html"
    words = ["--pruner", "random()", "--pruner", "divprune()", "--json"]
    bench.write_text(saccade("bench", *TINY.split(), *words), encoding="utf-8")
    preset.write_bytes((search.parent / "preset.json").read_bytes())
    saccade("report", study, search.parent, bench, preset, "-o", page, "--samples", SAMPLES)
    return page


def hostile_page(folder: Path, find: Find) -> Path:
    """The comparison of a study whose names and answers want to be more than text; pinned to a case
    of such a name."""
    config, page = folder / "study.yaml", folder / "report.html"
    config.write_text(STUDY_OF_HOSTILE, encoding="utf-8")
    saccade("study", "run", config, "--out", folder / "made")
    study = changed(folder / "made", folder / "run", hostile)
    saccade("report", study, "--baseline", HOSTILE, "-o", page, "--samples", 4)
    return page


PAGES: dict[str, Callable[[Path, Find], Path]] = {
    "study": study_page,
    "trace": trace_page,
    "tune": tune_page,
    "report": report_page,
    "hostile": hostile_page,
}
"""Every page by its name; what makes it in an empty folder, and returns its file."""
COMMON = ("study", "trace", "tune", "report")
"""Pages that are looked at in both widths and schemes."""
