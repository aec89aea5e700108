"""``saccade study``: run a set of cases on tasks, and show what came out."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from saccade.studies.cli.benchmarks import (
    BENCHMARKS,
    Benchmarks,
    JudgeCalls,
    JudgeModel,
    JudgeUrl,
    Ray,
)
from saccade.studies.cli.configs import find_config
from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.hindsight import hindsight
from saccade.studies.cli.inputs import check_device, check_output
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.tracking import (
    TensorBoard,
    TrackedCommand,
    Wandb,
    asked_sinks,
    tracked_study,
)
from saccade.studies.cli.typed_command import typed_command

if TYPE_CHECKING:
    from saccade.studies.analysis.summary import Summary
    from saccade.studies.config.study import StudyConfig

study = typer.Typer(
    cls=ListingGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Run studies and show their results.\n\nA study is a YAML file: one model or several, "
    "tasks, and the cases to compare.",
    epilog="Example: saccade study run demo",
)
study.command(epilog="Example: saccade study hindsight runs/tuned")(hindsight)


@study.command(cls=TrackedCommand, epilog="Example: saccade study run demo --out runs/demo")
def run(
    config: Annotated[
        str, Argument(metavar="CONFIG", help="YAML file, or a shipped name such as demo.")
    ],
    folder: Annotated[
        Path | None, Option("--out", help="Folder of the results. Default: runs/NAME.")
    ] = None,
    threads: Annotated[
        int | None, Option(help="Threads of torch. Default: torch's own choice.", min=1)
    ] = None,
    model: Annotated[
        list[str] | None,
        Option(
            "--model",
            "-m",
            help="Run it on this model alone, or on another instead; may be repeated.",
        ),
    ] = None,
    benchmark: Annotated[
        list[Path] | None,
        Option(
            help="YAML file of a benchmark (name, file, gen_length, block_length, steps, metric) "
            "to run instead of the tasks; may be repeated.",
        ),
    ] = None,
    samples: Annotated[
        int | None, Option(help="Samples per task and seed, instead of the study's.", min=1)
    ] = None,
    jobs: Annotated[
        int,
        Option(
            "--jobs", "-j", help="Processes that answer side by side; times are less exact.", min=1
        ),
    ] = 1,
    device: Annotated[str | None, Option(help="cpu, cuda, cuda:1; default: a GPU if any.")] = None,
    dtype: Annotated[
        str | None, Option(help="float32, bfloat16 or float16. Default: as it is stored.")
    ] = None,
    wandb: Wandb = None,
    tensorboard: TensorBoard = None,
    lmms: Annotated[
        bool,
        Option(
            "--lmms",
            help="Run on the published benchmarks, through lmms-eval: CONFIG is a study over its "
            "tasks, or table1, table2, table3.",
            rich_help_panel=BENCHMARKS,
        ),
    ] = False,
    ray: Ray = None,
    judge_url: JudgeUrl = None,
    judge_model: JudgeModel = None,
    judge_calls: JudgeCalls = None,
) -> None:
    """Run a study, then show its table and write its report.

    Every case answers the same samples. Several models run one after the other, each in a folder of
    its own, and every case is compared with the baseline of its model. Results are kept as they
    come: after an interruption the same command goes on where it stopped, and a finished study is
    only shown again.
    """
    asked = Benchmarks(
        config, folder, tuple(model or ()), samples, jobs, device, dtype, ray, judge_url,
        judge_model, judge_calls,
    )  # fmt: skip
    if lmms:
        asked.refuse(benchmark=benchmark, wandb=wandb, tensorboard=tensorboard, threads=threads)
        finished = asked.run()
        for one in finished.shown:
            _finish(one)
        finished.tell()
        return
    asked.refuse_without()
    path = find_config(config)
    from saccade.studies.config.cases import load_study, with_own
    from saccade.studies.runs.runner import run_study

    loaded = load_study(path)
    if samples is not None:
        loaded = loaded.model_copy(update={"samples": samples})
    if model or benchmark or samples:
        loaded = with_own(loaded, model or (), benchmark or ())
    if folder is None:
        folder = Path("runs") / (re.sub(r"[^\w .+-]+", "-", loaded.name).strip(" .-") or "study")
    sink = asked_sinks(folder, wandb, tensorboard)
    _tell_size(loaded, samples)
    try:
        with Steps(err()) as bar:
            results = run_study(
                loaded,
                folder,
                lambda done, total, label: bar.update(done, total, label),
                threads=threads,
                jobs=jobs,
                device=None if device is None else str(check_device(device)),
                dtype=dtype,
                command=typed_command(),
            )
    except KeyboardInterrupt as interruption:
        note(str(interruption) or "interrupted")
        again = ["saccade", "study", "run", config, "--out", str(folder)]
        again += [part for name in model or () for part in ("--model", name)]
        again += [part for own in benchmark or () for part in ("--benchmark", str(own))]
        again += [] if samples is None else ["--samples", str(samples)]
        again += [] if device is None else ["--device", device]
        again += [] if dtype is None else ["--dtype", dtype]
        again += [] if threads is None else ["--threads", str(threads)]
        again += [] if jobs == 1 else ["--jobs", str(jobs)]
        again += [] if wandb is None else ["--wandb", wandb]
        again += [] if tensorboard is None else ["--tensorboard", str(tensorboard)]
        note(f"to go on: {shlex.join(again)}")
        tracked_study(folder, sink, loaded.folder)
        raise typer.Exit(130) from None
    _finish(results)
    tracked_study(results, sink, loaded.folder)


def _tell_size(loaded: "StudyConfig", samples: int | None) -> None:
    """Say how much a study will ask, and how long that takes, before it starts."""
    from saccade.studies.config.cases import each_model

    answers = sum(
        len(one.cases) * len(one.tasks) * len(one.every_seed) * one.samples
        for one in each_model(loaded)
    )
    takes = "" if loaded.takes is None or samples else f", about {loaded.takes}"
    note(f"{loaded.name}: {answers:,} answers{takes}; what is answered is kept if you stop it")


@study.command(epilog="Example: saccade study show runs/demo --report demo.html")
def show(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Folder of a study's results.")],
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    as_csv: Annotated[bool, Option("--csv", help="Print the table of all results as CSV.")] = False,
    report: Annotated[
        Path | None, Option(help="Also write the report, one self-contained page.", metavar="HTML")
    ] = None,
) -> None:
    """Show the results of a study, finished or not: accuracy, time and work of every case.

    Of several models each is shown, then an overview; --json gives them as a list, "models", and
    --csv gives the rows of all.
    Figures are what was achieved (tokens really kept, forwards really run), each compared with the
    baseline on the same samples.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of results at {folder}")
    if report is not None:
        check_output(report)
    from saccade.studies.analysis.summary import summarise_all
    from saccade.studies.reports.report import write_report
    from saccade.studies.reports.results_table import results_table
    from saccade.studies.reports.show import print_methods, print_overview, print_results
    from saccade.studies.reports.table import to_csv
    from saccade.studies.runs.model_folders import waiting_models

    if as_json and as_csv:
        raise ValueError("--json and --csv: choose one of them")
    summaries = summarise_all(folder)
    waiting = waiting_models(folder)
    if waiting:
        note(f"not begun yet: {', '.join(waiting)}")
    if as_json:
        found = [_json(summary) for summary in summaries]
        emit(found[0] if len(found) == 1 else {"models": found})
    elif as_csv:
        out().out(to_csv([results_table(summary) for summary in summaries]), end="")
    else:
        for summary in summaries:
            print_results(summary, out(), work=True)
            print_methods(summary, out())
        if len(summaries) > 1:
            print_overview(summaries, out())
    if report is not None:
        write_report(summaries, report)
        note(f"report written to {report}")


def _json(summary: "Summary") -> dict[str, Any]:
    from saccade.studies.analysis.methods import has_methods, methods_of

    methods = {"methods": methods_of(summary).rows()} if has_methods(summary) else {}
    return summary.to_json() | methods


def _finish(folder: Path) -> None:
    """Summarise the runs of a study, show their tables, and say where everything lies."""
    from saccade.studies.analysis.methods import has_methods
    from saccade.studies.analysis.summary import summarise_all, write_all
    from saccade.studies.reports.report import write_report
    from saccade.studies.reports.show import print_methods, print_overview, print_results
    from saccade.studies.runs.model_folders import run_folders

    summaries, report = summarise_all(folder), folder / "report.html"
    for summary, own in zip(summaries, run_folders(folder), strict=True):
        summary.write(own)
    if len(summaries) > 1:
        write_all(summaries, folder)
    write_report(summaries, report)
    console = out()
    if has_methods(summaries[0]):
        for summary in summaries:
            print_methods(summary, console)
    elif len(summaries) == 1:
        print_results(summaries[0], console)
    else:
        print_overview(summaries, console)
    console.out(f"results  {folder}", highlight=False)
    console.out(f"report   {report}", highlight=False)
