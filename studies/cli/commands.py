"""The root of the command line: its options, its commands, and how errors leave it."""

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from saccade import __version__
from saccade.studies.cli.bench import bench
from saccade.studies.cli.calibrate import calibrate
from saccade.studies.cli.catalogue import list_models, list_policies, list_pruners
from saccade.studies.cli.certify import certify
from saccade.studies.cli.consoles import out
from saccade.studies.cli.coverage import coverage
from saccade.studies.cli.doctor import doctor
from saccade.studies.cli.errors import explain
from saccade.studies.cli.generate import generate
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.learn import learn
from saccade.studies.cli.page import page
from saccade.studies.cli.presets import presets
from saccade.studies.cli.report import report
from saccade.studies.cli.study import study
from saccade.studies.cli.traces import traces
from saccade.studies.cli.tracking import TrackedCommand
from saccade.studies.cli.train import train
from saccade.studies.cli.tune import tune

EPILOG = (
    "Example: saccade page page.png\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted."
)


class Commands(ListingGroup):
    """A group whose commands end in one clear line on stderr instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; with ``--debug`` an error keeps its traceback."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            # typer's own errors carry their exit code, and typer shows them.
            if hasattr(error, "exit_code") or ctx.params.get("debug") or _pipe_closed(error):
                raise
            raise typer.Exit(explain(error)) from error


def _pipe_closed(error: Exception) -> bool:
    return isinstance(error, BrokenPipeError)  # typer ends quietly


app = typer.Typer(
    name="saccade",
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out().print(f"saccade {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="SACCADE_DEBUG", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Faster diffusion multimodal language models: look at the picture only when it matters.

    Ask a model about a picture, and decide step by step how many of its visual tokens are read.
    Everything runs offline on the small models that come with the package.
    """


for _name, _command, _example in (
    (
        "generate",
        generate,
        "page.png 'Which code is in row 2?' --gen-length 16 -p 'after_share(0.5, keep=0.25)'",
    ),
    ("page", page, "page.png --kind transcribe --index 3"),
    ("models", list_models, "--json"),
    ("policies", list_policies, ""),
    ("pruners", list_pruners, ""),
    ("train", train, "llada-v --out runs/llada-v --workers 2"),
    ("bench", bench, "--pruner divprune --share 0 --keep 0.25 --threads 1"),
    ("learn", learn, "runs/traces -o runs/learned"),
    ("certify", certify, "runs/tune/code --max-change 5% --confidence 90%"),
    ("coverage", coverage, "--recorded studies/results/adaptive-core --draws 1000"),
    ("report", report, "runs/demo studies/results/table3 -o report.html"),
    ("doctor", doctor, ""),
):
    app.command(
        _name,
        cls=TrackedCommand if _command in (bench, report) else None,
        epilog=f"Example: saccade {_name} {_example}".rstrip(),
    )(_command)
app.add_typer(study, name="study")
app.add_typer(traces, name="traces")
app.add_typer(calibrate, name="calibrate")
app.add_typer(presets, name="presets")
app.add_typer(tune, name="tune")


def main() -> None:
    """Run the command line; the entry point of the package."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a narrow encoding must not lose an answer
    app(prog_name="saccade")
