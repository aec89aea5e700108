"""Several models side by side: what each case changes in each model's score, and gains in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saccade.studies.analysis.summary import Row, Summary, acted
from saccade.studies.reports.table import WIDTH, number, titled

SURE = 2.0
"""Standard errors beyond which a change is marked."""
UNTOUCHED = "no drop"
"""Said of a case whose policy dropped nothing in any sample."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a case did on a task.

    Attributes
    ----------
    figure : str
    change : str
        Of the score against the baseline's, signed, with its standard error; `UNTOUCHED` where a
        policy never came to drop anything; empty for the baseline, and for speed-ups.
    sign : int
        1 or -1 for a change of more than `SURE` standard errors, else 0.
    """

    figure: str
    change: str = ""
    sign: int = 0


def score_cell(row: Row, summary: Summary) -> Cell:
    """Score in percent, and its change."""
    score = number(100 * row["score"], 1)
    if row["case"] == summary.config.baseline:
        return Cell(score)
    if _untouched(row, summary):
        return Cell(score, UNTOUCHED)
    change, se = 100 * row["score_change"], row["score_change_se"]
    spread = "" if se is None else f" ± {100 * se:.1f}"
    sure = se is not None and abs(change) > SURE * 100 * se and abs(change) >= 0.05
    return Cell(score, f"{change:+.1f}{spread}", (1 if change > 0 else -1) if sure else 0)


def speed_cell(row: Row, summary: Summary) -> Cell:
    """Measured and ideal speed-up."""
    return Cell(f"{number(row['speedup'], 2)} / {number(row['speedup_ideal'], 2)}")


def _untouched(row: Row, summary: Summary) -> bool:
    """Whether a policy was there and did nothing in any sample."""
    ruled = {case.name for case in summary.config.cases if case.policy is not None}
    bare = (r for r in summary.rows() if r["case"] == summary.config.baseline)
    same = next((r for r in bare if r["task"] == row["task"]), None)
    return row["case"] in ruled and not acted(row, same)


def grid(
    summary: Summary, cell: Callable[[Row, Summary], Cell] = score_cell
) -> list[tuple[str, list[Cell]]]:
    """Cells of a model: one line per case, one cell per task, in the study's order.

    A dash stands where there are no records yet.
    """
    found = {(row["case"], row["task"]): cell(row, summary) for row in summary.rows()}
    return [
        (case.name, [found.get((case.name, task), Cell("-")) for task in summary.config.tasks])
        for case in summary.config.cases
    ]


_LEGENDS = {
    "Score": "in percent, and under it the mean change from the same model's baseline over the "
    "same samples with its standard error; coloured where it is more than "
    f"{SURE:.0f} of these. “{UNTOUCHED}”: no answer was long enough for the policy to act.",
    "Speed-up": "of the same model's baseline: measured, preparation included / ideal, by exact "
    "multiply-accumulates. The tables of each model have the measured one's 95 % interval.",
}
_CELLS = {"Score": score_cell, "Speed-up": speed_cell}


def render_overview(summaries: Sequence[Summary], console: Console) -> None:
    """Print tables of cases by tasks, one per model: first of scores, then of speed-ups."""
    width = min(console.width, WIDTH)
    for what, cell in _CELLS.items():
        for summary in summaries:
            # Above the table, not its title: that would be folded to a narrow table's width.
            console.print(Text(_title(what, summary), style="bold"), width=width)
            console.print(_table(summary, cell), width=width)
        console.print(Text(f"{what} {_LEGENDS[what]}", style="dim"), width=width)


def _title(what: str, summary: Summary) -> str:
    origin = summary.recipe["backbone"]["origin"]
    missing = "" if summary.finished else f", unfinished: {summary.done} of {summary.total} units"
    return f"{what}: {summary.config.model} ({origin}{missing})"


def _table(summary: Summary, cell: Callable[[Row, Summary], Cell]) -> Table:
    table = titled("")
    for task in summary.config.tasks:
        table.add_column(task, justify="right")
    for name, cells in grid(summary, cell):
        style = "bold" if name == summary.config.baseline else None
        table.add_row(Text(name), *map(_text, cells), style=style)
    return table


def _text(content: Cell) -> Text:
    colour = {1: "green", -1: "red", 0: "dim"}[content.sign]
    text = Text(content.figure)
    return text.append(f"\n{content.change}", style=colour) if content.change else text


def overview_html(summaries: Sequence[Summary]) -> str:
    """The same tables as sections of the report."""
    titles = {"Score": "Score, and what each case changes", "Speed-up": "Speed-up"}
    return "".join(
        f"<section><h2>{titles[what]}</h2>"
        f"{''.join(_html_table(summary, cell) for summary in summaries)}"
        f"<dl><dt>{what}</dt><dd>{escape(_LEGENDS[what])}</dd></dl></section>"
        for what, cell in _CELLS.items()
    )


def _html_table(summary: Summary, cell: Callable[[Row, Summary], Cell]) -> str:
    config = summary.config
    heads = "".join(f'<th scope="col">{escape(task)}</th>' for task in config.tasks)
    lines = ""
    for name, cells in grid(summary, cell):
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
    return f"<td{kind}>{content.figure}{change}</td>"
