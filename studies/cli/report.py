"""``saccade report``: one page about anything that was measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import err, note, out
from saccade.studies.cli.inputs import check_output
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.report_tracking import publish, send_report
from saccade.studies.cli.tracking import PANEL, TensorBoard, Wandb, asked_sinks
from saccade.studies.cli.typed_command import typed_command

if TYPE_CHECKING:
    from saccade.studies.reports.compare.sources import Sources

FORMATS = {"html": "html", "md": "md", "csv": "csv", "latex": "tex"}
"""Formats, and how files of them end."""


def report(
    runs: Annotated[
        list[Path] | None,
        Argument(
            metavar="RUN...",
            help="Folders of studies and searches, files of saccade bench --json, presets; or "
            "folders of such.",
            show_default=False,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        Option(
            "--out", "-o", help="File to write. Default: report.html; other formats are printed."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        Option(
            metavar="CASE", help="Pair every case with this one. Default: each study's baseline."
        ),
    ] = None,
    samples: Annotated[
        int, Option(metavar="N", help="Samples that are shown side by side.", min=0)
    ] = 24,
    form: Annotated[str, Option("--format", help="html, or tables as md, csv or latex.")] = "html",
    wandb: Wandb = None,
    tensorboard: TensorBoard = None,
    from_wandb: Annotated[
        str | None,
        Option(
            metavar="ENTITY/PROJECT/GROUP",
            help="Instead of RUN: read what the runs of a group have logged in wandb.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
    wandb_publish: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Only send the runs and the wandb Report that --wandb has left in a folder.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
) -> None:
    """Write one page about studies, searches, benches and presets, in any mix.

    The page needs nothing but itself. It begins with the best setting of each class of tasks and
    its cost; what is missing, unpaired or of different recipes is said before anything else. Every
    case is paired with the baseline on the same samples, with an interval over pictures and an
    exact test.

    With --wandb every source is sent as its own command would send it, then the page, then a wandb
    Report about all of them; without credentials they wait in the folder that is named.
    """
    from saccade.controller.names import not_allowed

    if form not in FORMATS:
        raise ValueError(not_allowed("--format", form, tuple(FORMATS)))
    _check_together(runs, wandb, tensorboard, from_wandb, wandb_publish)
    if wandb_publish is not None:
        return publish(wandb_publish)
    asked_sinks(Path("."), wandb, tensorboard)  # what is missing is told before any work
    target = Path("report.html") if path is None and form == "html" else path
    if target is not None:
        check_output(target)
    sources = _sources(runs, from_wandb)
    for problem in sources.problems:
        note(problem)
    content = _write(sources, form, target, baseline, samples)
    page = (f"report.{FORMATS[form]}", content)
    send_report(sources, page, baseline, wandb, tensorboard)


def _check_together(
    runs: list[Path] | None,
    wandb: str | None,
    tensorboard: Path | None,
    from_wandb: str | None,
    wandb_publish: Path | None,
) -> None:
    """Raise `ValueError` unless the options say just one thing to do."""
    given = {"RUN": runs, "--from-wandb": from_wandb, "--wandb-publish": wandb_publish}
    named = [name for name, value in given.items() if value]
    if why := _swallowed(wandb):
        raise ValueError(why)
    if len(named) != 1:
        what = f", not {' and '.join(named)}" if named else ""
        raise ValueError(f"give one of RUN..., --from-wandb and --wandb-publish{what}")
    if not runs and (wandb is not None or tensorboard is not None):
        own = "--wandb" if wandb is not None else "--tensorboard"
        raise ValueError(f"{own} sends what RUN... holds; it goes not with {named[0]}")


def _swallowed(wandb: str | None) -> str:
    """What to say where ``--wandb`` took a path of results as its project; else nothing."""
    from saccade.studies.reports.compare.sources import is_result

    if wandb is None or not is_result(Path(wandb)):
        return ""
    return f"--wandb {wandb}: these are results, not a project; write --wandb behind them"


def _sources(runs: list[Path] | None, from_wandb: str | None) -> "Sources":
    from saccade.studies.reports.compare.sources import read_sources

    if from_wandb is None:
        return read_sources(runs or [])
    from saccade.studies.tracking.from_wandb import read_wandb
    from saccade.studies.tracking.limits import time_limit

    with err().status("[dim]reading from wandb[/]"):
        return read_wandb(from_wandb, time_limit())


def _write(
    sources: "Sources", form: str, target: Path | None, baseline: str | None, samples: int
) -> bytes:
    """Write or print the report; what was written."""
    from saccade.studies.reports.compare.page import write_comparison
    from saccade.studies.reports.compare.text_tables import comparison_text
    from saccade.studies.reports.pages import write_page
    from saccade.studies.reports.samples.section import samples_html

    if form == "html" and target is not None:
        with Steps(err()) as bar:
            write_comparison(
                sources,
                target,
                baseline=baseline,
                n_samples=samples,
                samples=samples_html,
                command=typed_command(),
                progress=bar.update,
            )
        note(f"report written to {target}")
        return target.read_bytes()
    text = comparison_text(sources, form, baseline)
    if target is None:
        out().out(text, end="", highlight=False)
    else:
        write_page(text, target, "report")
        note(f"report written to {target}")
    return text.encode()
