"""Several models side by side: what each case changes in each model's score."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich.console import Console
from rich.text import Text

from saccade.studies.summary import Row, Summary
from saccade.studies.table import WIDTH, number, titled

SURE = 2.0
"""Standard errors beyond which a change is marked."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Score of a case on a task, and how it differs from the baseline's.

    Attributes
    ----------
    score : str
    change : str
        Signed, with its standard error; empty for the baseline.
    sign : int
        1 or -1 for a change of more than `SURE` standard errors, else 0.
    """

    score: str
    change: str
    sign: int


def cell(row: Row | None, baseline: str) -> Cell:
    """One cell; a dash where there is no row yet."""
    if row is None:
        return Cell("-", "", 0)
    score = number(100 * row["score"], 1)
    if row["case"] == baseline:
        return Cell(score, "", 0)
    change, se = 100 * row["score_change"], row["score_change_se"]
    spread = "" if se is None else f" ± {100 * se:.1f}"
    sure = se is not None and abs(change) > SURE * 100 * se and abs(change) >= 0.05
    return Cell(score, f"{change:+.1f}{spread}", (1 if change > 0 else -1) if sure else 0)


def grid(summary: Summary) -> list[tuple[str, list[Cell]]]:
    """Cells of a model: one line per case, one cell per task, in the study's order."""
    found = {(row["case"], row["task"]): row for row in summary.rows()}
    config = summary.config
    return [
        (case.name, [cell(found.get((case.name, task)), config.baseline) for task in config.tasks])
        for case in config.cases
    ]


def render_overview(summaries: Sequence[Summary], console: Console) -> None:
    """Print one table per model: cases by tasks, score in percent and its change."""
    width = min(console.width, WIDTH)
    for summary in summaries:
        table = titled(f"{summary.config.model} ({summary.recipe['backbone']['origin']})")
        for task in summary.config.tasks:
            table.add_column(task, justify="right")
        for name, cells in grid(summary):
            style = "bold" if name == summary.config.baseline else None
            table.add_row(Text(name), *map(_text, cells), style=style)
        console.print(table, width=width)
    console.print(Text(_LEGEND, style="dim"), width=width)


def _text(content: Cell) -> Text:
    colour = {1: "green", -1: "red", 0: "dim"}[content.sign]
    text = Text(content.score)
    return text.append(f"\n{content.change}", style=colour) if content.change else text


_LEGEND = (
    "Score in percent, and under it the mean change from the same model's baseline over the same "
    f"samples with its standard error; coloured where it is more than {SURE:.0f} of these."
)


def overview_html(summaries: Sequence[Summary]) -> str:
    """The same tables as a section of the report."""
    tables = "".join(map(_html_table, summaries))
    return (
        f"<section><h2>Score, and what each case changes</h2>{tables}"
        f"<dl><dt>Cells</dt><dd>{escape(_LEGEND)}</dd></dl></section>"
    )


def _html_table(summary: Summary) -> str:
    config = summary.config
    heads = "".join(f'<th scope="col">{escape(task)}</th>' for task in config.tasks)
    lines = ""
    for name, cells in grid(summary):
        kind = ' class="baseline"' if name == config.baseline else ""
        lines += f'<tr{kind}><th scope="row">{escape(name)}</th>{"".join(map(_td, cells))}</tr>'
    title = f"{config.model} ({summary.recipe['backbone']['origin']})"
    return (
        f'<h3>{escape(title)}</h3><div class="scroll"><table><thead><tr><th scope="col">Case</th>'
        f"{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _td(content: Cell) -> str:
    kind = {1: ' class="better"', -1: ' class="worse"', 0: ""}[content.sign]
    change = f"<em>{content.change}</em>" if content.change else ""
    return f"<td{kind}>{content.score}{change}</td>"
