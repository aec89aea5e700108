"""``saccade learn``: a schedule from a table of what would have happened."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.table import Table
from typer import Argument, Option

from saccade.studies.cli.consoles import emit, err, note, out, warn
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.tuning.learned_report import Bin, LearnReport

SIGNALS = 8
"""Features that are shown, of those that matter most."""


def learn(
    table: Annotated[
        Path, Argument(metavar="TABLE", help="Folder that saccade traces collect wrote.")
    ],
    folder: Annotated[Path, Option("--out", "-o", help="Folder for learned.json and report.json.")],
    kind: Annotated[
        str, Option("--model", help="What is kept: boosting, logistic, tree or constant.")
    ] = "boosting",
    seed: Annotated[int, Option(help="Of the folds and the fits.", min=0)] = 0,
    as_json: Annotated[bool, Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Learn how likely each action is to change the answer, from what is known before a step.

    All kinds of models are judged on pages that they did not see, and one is kept. It is used as
    --policy 'learned(file="DIR/learned.json", risk=0.05)'.
    """
    import json

    from saccade.tuning.learning import MODEL, REPORT
    from saccade.tuning.learning import learn as run

    with Steps(err()) as bar:
        report = run(
            table,
            folder,
            kind=kind,
            seed=seed,
            progress=lambda done, total: bar.update(done, total, "fits"),
        )
    if as_json:
        emit(json.loads((folder / REPORT).read_text(encoding="utf-8")))
    else:
        _show(report)
    if not report.better:
        warn(report.sentence)
    note(f"use --policy 'learned(file=\"{folder / MODEL}\", risk=0.05)'")


def _show(report: "LearnReport") -> None:
    from saccade.tuning.learned_report import BATCH

    console = out()
    head = f"{report.rows} rows of {report.pages} pages, {report.changed:.1%} of them changed"
    console.print(head, highlight=False)
    losses = Table("model", "log-loss (nats)", box=None, header_style="bold")
    for name, loss in sorted(report.losses.items(), key=lambda pair: pair[1]):
        told = "the action alone" if name == "by action" else name
        losses.add_row(told, f"{loss:.4f}", style="bold" if name == report.kind else None)
    console.print(losses)
    console.print(report.sentence, highlight=False)
    console.print(_calibration(report.calibration, report.constant_calibration))
    console.print(_importance(report))
    console.print(_outlook(report))
    told = f"a prediction for {BATCH} sequences takes {report.milliseconds:.2f} ms"
    console.print(told, highlight=False)


def _calibration(bins: "tuple[Bin, ...]", constant: "tuple[Bin, ...]") -> Table:
    """Predicted and observed risks, those of the constant in one row."""
    made = Table("predicted risk", "answers changed", "rows", box=None, header_style="bold")
    for own in bins:
        made.add_row(f"{own.predicted:.3f}", f"{own.observed:.3f}", str(own.n))
    n = sum(own.n for own in constant)
    predicted = sum(own.predicted * own.n for own in constant) / n
    observed = sum(own.observed * own.n for own in constant) / n
    made.add_row(f"{predicted:.3f} (constant)", f"{observed:.3f}", str(n))
    return made


def _importance(report: "LearnReport") -> Table:
    made = Table("feature", "log-loss without it", box=None, header_style="bold")
    for name, rise in list(report.importance.items())[:SIGNALS]:
        made.add_row(name, f"{rise:+.4f}")
    return made


def _outlook(report: "LearnReport") -> Table:
    made = Table("risk=", "acts on", "answers changed", "MACs saved", box=None, header_style="bold")
    for own in report.outlook:
        shares = (own.acted, own.changed, own.saved)
        made.add_row(f"{own.risk:g}", *(f"{share:.1%}" for share in shares))
    return made
