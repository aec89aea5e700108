"""``saccade tune``: search what makes a model faster on a task, under the score's constraint."""

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from saccade.studies.cli.configs import find_config
from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.tracking import (
    TensorBoard,
    TrackedCommand,
    Wandb,
    asked_sinks,
    send_tracked,
)
from saccade.studies.cli.typed_command import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optuna import Study

    from saccade.studies.config.tuning import TuneConfig
    from saccade.studies.tracking.apart import Apart
    from saccade.studies.tracking.sink import TrackedRun
    from saccade.tuning.search import Job

tune = typer.Typer(
    cls=ListingGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Search thresholds and schedules that make a model faster on your task.\n\n"
    "The result is a preset: one small file for saccade generate --preset.",
    epilog="Example: saccade tune run demo",
)
AsJson = Annotated[bool, Option("--json", help="Print one JSON object.")]


@tune.command(cls=TrackedCommand, epilog="Example: saccade tune run demo --out runs/demo")
def run(
    config: Annotated[
        str | None,
        Argument(metavar="[CONFIG]", help="YAML file, or a shipped name such as demo."),
    ] = None,
    model: Annotated[
        str | None, Option("--model", "-m", help="Embedded model, checkpoint folder or hub id.")
    ] = None,
    task: Annotated[str | None, Option(help="Kind of documents that are asked about.")] = None,
    benchmark: Annotated[
        Path | None, Option(help="Your own questions: JSON lines, or a YAML file about them.")
    ] = None,
    gen_length: Annotated[int | None, Option(help="Response tokens of --benchmark.", min=1)] = None,
    steps: Annotated[int | None, Option(help="Denoising steps of --benchmark.", min=1)] = None,
    block_length: Annotated[
        int | None, Option(help="Tokens per block of --benchmark. Default: all.", min=1)
    ] = None,
    max_drop: Annotated[
        str | None, Option(help="Share of the unpruned score that may be lost, such as 1%.")
    ] = None,
    budget: Annotated[str | None, Option(help="Time, such as 10m, 90s or 1h.")] = None,
    trials: Annotated[int | None, Option(help="Trials, instead of a time.", min=1)] = None,
    workers: Annotated[int | None, Option(help="Processes side by side.", min=1)] = None,
    samples: Annotated[
        int | None, Option(help="Samples of the search, and as many of the result.", min=1)
    ] = None,
    label_free: Annotated[
        bool, Option("--label-free", help="Score by agreement with the unpruned answer.")
    ] = False,
    front: Annotated[
        bool, Option("--front", help="Two objectives, score and cost: the whole front.")
    ] = False,
    sampler: Annotated[str | None, Option(help="tpe, nsga2 or gp.")] = None,
    objective: Annotated[
        str | None, Option(help="cost (exact work) or latency (measured).")
    ] = None,
    seed: Annotated[int | None, Option(min=0)] = None,
    storage: Annotated[
        str | None,
        Option(help="Optuna storage to share with other machines. Default: SQLite in --out."),
    ] = None,
    study: Annotated[str | None, Option(help="Name of the study in the storage.")] = None,
    folder: Annotated[
        Path | None, Option("--out", help="Folder of the results. Default: runs/tune-NAME.")
    ] = None,
    as_json: AsJson = False,
    wandb: Wandb = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Search, then write a preset, a table and a page.

    Tries no-op, the policy's defaults and the fixed schedules of the published tables first, so
    that the result is never worse than they are. Trials are kept as they end: after an
    interruption the same command goes on where it stopped. With one --storage, the same command on
    other machines joins in.
    """
    from saccade.studies.config.tuning import TuneConfig, benchmark_of, load_tuning

    loaded = TuneConfig() if config is None else load_tuning(find_config(config, "tune"))
    if task is not None and benchmark is not None:
        raise ValueError("--task and --benchmark: choose one of them")
    own = None
    if benchmark is not None:
        lengths = {"gen_length": gen_length, "steps": steps, "block_length": block_length}
        own = benchmark_of(benchmark, label_free or loaded.label_free, lengths)
    if task is not None:
        loaded = loaded.model_copy(update={"benchmark": None})
    given: dict[str, Any] = {
        "model": model,
        "task": task,
        "benchmark": own,
        "max_drop": max_drop,
        "budget": budget,
        "trials": trials,
        "workers": workers,
        "label_free": label_free or None,
        "front": front or None,
        "sampler": sampler,
        "objective": objective,
        "seed": seed,
        "samples": None if samples is None else {"tune": samples, "test": samples},
    }
    changed = loaded.changed(**given)
    name = re.sub(r"[^\w .+-]+", "-", changed.name).strip(" .-") or "tune"
    folder = folder or Path("runs") / f"tune-{name}"
    _go(changed, folder, storage, study, as_json, asked_sinks(folder, wandb, tensorboard))


@tune.command(cls=TrackedCommand, epilog="Example: saccade tune resume runs/tune-demo --budget 10m")
def resume(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Folder of a search.")],
    budget: Annotated[str | None, Option(help="Time in all, such as 10m.")] = None,
    trials: Annotated[int | None, Option(help="Trials in all.", min=1)] = None,
    workers: Annotated[int | None, Option(help="Processes side by side.", min=1)] = None,
    as_json: AsJson = False,
    wandb: Wandb = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Go on with a search that was stopped or has ended, perhaps for longer or with more workers.

    Trials that were at work when it was killed are run again; a search that is done is only shown.
    """
    from saccade.studies.runs.tune import read_run
    from saccade.tuning.storage import default_url

    config, url, study = read_run(folder)
    changed = config.changed(budget=budget, trials=trials, workers=workers)
    sink = asked_sinks(folder, wandb, tensorboard)
    _go(changed, folder, None if url == default_url(folder) else url, study, as_json, sink)


@tune.command(epilog="Example: saccade tune show runs/tune-demo --json")
def show(
    folder: Annotated[Path | None, Argument(metavar="[FOLDER]", help="Folder of a search.")] = None,
    storage: Annotated[str | None, Option(help="Optuna storage, instead of a folder.")] = None,
    study: Annotated[str | None, Option(help="Name of the study in the storage.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a search has found so far: the front, the best setting that is allowed first."""
    from saccade.studies.reports.terminal import print_table
    from saccade.studies.reports.tune_table import front_table
    from saccade.studies.runs.tune_show import shown_front

    if (folder is None) == (storage is None) or (storage is not None and study is None):
        raise ValueError("give a folder, or --storage and --study")
    found = shown_front(folder, storage, study)
    if as_json:
        emit(found)
        return
    title, objective = f"{found['study']}: {found['trials']} trials", found["goal"]["objective"]
    print_table(front_table(found["front"], title, objective), out())


def _go(
    config: "TuneConfig",
    folder: Path,
    storage: str | None,
    study: str | None,
    as_json: bool,
    sink: "Apart | None",
) -> None:
    try:
        result, page = _searched(config, folder, storage, study)
    except KeyboardInterrupt:
        note("interrupted; what is finished is kept")
        begun = (folder / "tune.json").exists()
        resume = f"saccade tune resume {shlex.quote(str(folder))}"
        note(f"to go on: {resume}" if begun else "to begin again: the same command")
        raise typer.Exit(130) from None
    if as_json:
        emit(result)
    else:
        _print(result, folder, page)

    def make() -> "Iterable[TrackedRun]":
        from saccade.studies.runs.tune_show import open_existing
        from saccade.studies.tracking.from_tune import tune_runs

        return tune_runs(result, open_existing(folder), config.goal, folder)

    send_tracked(sink, make)


def _searched(
    config: "TuneConfig", folder: Path, storage: str | None, study: str | None
) -> tuple[dict[str, Any], Path]:
    """The result, and the page that shows it."""
    from saccade.studies.reports.tune_page import write_tune_page
    from saccade.studies.runs.tune import run_tuning
    from saccade.studies.runs.tune_show import open_existing
    from saccade.studies.timing.front_point import projected_macs

    with Steps(err()) as bar:
        result = run_tuning(
            config,
            folder,
            storage,
            study,
            lambda s, job, began: _tell(bar, s, job, began),
            typed_command(),
            project=projected_macs,
        )
    page = folder / "report.html"
    write_tune_page(result, open_existing(folder), config.goal, page)
    return result, page


def _print(result: dict[str, Any], folder: Path, page: Path) -> None:
    from saccade.studies.reports.terminal import print_table
    from saccade.studies.reports.tune_table import front_table

    console = out()
    title = "The front, best allowed first"
    print_table(front_table(result["front"], title, result["objective"]), console)
    if result["not_tried"]:
        names = result["not_tried"]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        which = f"{', '.join(names[:3])}{more}"
        note(f"no time was left to try {which}: give a larger --budget, or more --trials")
    console.print(result["sentence"], markup=False, highlight=False, soft_wrap=True)
    console.out(f"preset  {folder / 'preset.json'}", highlight=False)
    console.out(f"page    {page}", highlight=False)


def _tell(bar: Steps, study: "Study", job: "Job", began: float) -> None:
    """How far it is, and the best so far."""
    from saccade.studies.reports.tune_table import saved
    from saccade.tuning.result import all_tried, front
    from saccade.tuning.study import finished

    done, tried = finished(study), all_tried(study, job.goal)
    best, what = front(tried)[0] if tried else None, saved(job.goal.objective)
    words = "" if best is None else f"best {1 / best.cost:.2f}x {what} at {best.score:.3f}"
    if job.trials is not None:
        bar.update(min(done, job.trials), job.trials, f"trials, {words}")
    elif job.until is not None:
        total = max(1, round(job.until - began))
        spent = min(total, round(time.time() - began))
        bar.update(spent, total, f"seconds, {done} trials, {words}")
