"""``saccade coverage``: how often a promise about changed answers would be broken."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Option

from saccade.studies.cli.consoles import emit, out
from saccade.studies.cli.percent import parse_percent

if TYPE_CHECKING:
    from saccade.tuning.coverage import Coverage

RATES = tuple(round(0.01 * i, 2) for i in range(1, 21))
"""Of synthetic settings: some far below any usual target, some around it, some above."""


def coverage(
    max_change: Annotated[
        str, Option(help="How much may change at most: 10% or 0.1.", metavar="SHARE")
    ] = "10%",
    confidence: Annotated[
        str, Option(help="How sure the promise has to be: 90% or 0.9.", metavar="SHARE")
    ] = "90%",
    samples: Annotated[int, Option(help="Of the certify set in every draw.", min=1)] = 300,
    draws: Annotated[int, Option(help="Of synthetic answers.", min=1)] = 1000,
    recorded: Annotated[
        Path | None,
        Option(help="Results of a study, whose recorded answers are drawn from, too."),
    ] = None,
    recorded_draws: Annotated[int, Option(help="Of recorded answers.", min=1)] = 200,
    seed: Annotated[int, Option(min=0)] = 0,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw answers again and again, certify each time, and count the promises that are broken.

    Beside it, what comes of taking the cheapest setting whose share of changes is within the
    target. Recorded answers are resampled: the truth is what all of them show.
    """
    from saccade.tuning.coverage import coverage as simulate
    from saccade.tuning.coverage import synthetic

    alpha = parse_percent("--max-change", max_change)
    delta = round(1 - parse_percent("--confidence", confidence), 12)
    how: dict[str, Any] = {"n": samples, "alpha": alpha, "delta": delta, "seed": seed}
    costs = [1 - i / (len(RATES) + 1) for i in range(1, len(RATES) + 1)]
    rows = {"synthetic": simulate(synthetic(RATES), RATES, costs, draws=draws, **how)}
    if recorded is not None:
        rows |= _recorded(recorded, recorded_draws, how)
    if as_json:
        emit([_row(name, found, delta) for name, found in rows.items()])
    else:
        _show(rows, delta)


def _recorded(folder: Path, draws: int, how: dict[str, Any]) -> "dict[str, Coverage]":
    from saccade.studies.analysis.changed_answers import changed_answers
    from saccade.tuning.coverage import coverage as simulate
    from saccade.tuning.coverage import resampled

    found = {}
    for name, (losses, costs) in changed_answers(folder).items():
        risks = losses.mean(axis=1).tolist()
        found[name] = simulate(resampled(losses), risks, costs, draws=draws, **how)
    return found


def _row(name: str, found: "Coverage", delta: float) -> dict[str, Any]:
    return {
        "answers": name,
        "draws": found.draws,
        "broken": found.broken / found.draws,
        "allowed": delta,
        "abstained": found.abstained / found.draws,
        "best_mean_broken": found.naive / found.draws,
        "cost": found.cost,
    }


def _show(rows: "dict[str, Coverage]", delta: float) -> None:
    heads = ("answers", "draws", "broken %", "by the best mean %", "abstained %", "cost")
    table = Table(*heads, box=None, header_style="bold")
    for name, found in rows.items():
        row = _row(name, found, delta)
        shares = (row[key] for key in ("broken", "best_mean_broken", "abstained"))
        cells = (name, str(found.draws), *(f"{100 * share:.1f}" for share in shares))
        table.add_row(*map(Text, (*cells, f"{found.cost:.3f}")))
    out().print(table)
    out().print(Text(f"A promise may be broken in {100 * delta:.3g} % of the draws."))
