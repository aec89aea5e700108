"""The table of a study's methods, for the terminal and for the report."""

import math
from html import escape

from rich.console import Console
from rich.text import Text

from saccade.studies.analysis.methods import BACKBONES, Line, Methods
from saccade.studies.reports.table import WIDTH, titled

HEADS = ("rel. avg", "speed", "ideal", "paper", "proj.")
"""Columns after the tasks."""


def legend(methods: Methods) -> str:
    """What the columns mean."""
    over = "seeds" if methods.seeds > 1 else "samples"
    model = BACKBONES.get(methods.origin)
    text = (
        f"Scores in percent with their standard error over {over}; a dash where nothing was "
        "done, as answers have too few steps. Rel. avg: mean over those tasks of the score "
        "relative to the unpruned model's. Speed: speed-up measured, preparation included; ideal: "
        "by exact multiply-accumulates, gated MLP and grouped heads counted, tower and output head "
        "included; paper: by the published equations (decoder layers alone, an MLP of two "
        "matrices, no grouped heads); proj.: its trace priced at the published size of its kind. "
        "Each is the geometric mean over those tasks."
    )
    if model is None:
        return text
    return (
        f"{text} Published: relative average of the same method in arXiv 2511.15098, for "
        f"{model} (8B) on its own benchmarks; not measured here."
    )


def render_methods(methods: Methods, console: Console) -> None:
    """Print the table, at most 100 columns wide."""
    width = min(console.width, WIDTH)
    table = titled("methods")
    table.columns[0].header, table.collapse_padding = "method", True
    narrow = width < WIDTH
    tasks = () if narrow else methods.tasks
    for name in (*tasks, *HEADS):
        table.add_column(name, justify="right", no_wrap=True)
    published = methods.origin in BACKBONES
    if published:
        table.add_column("publ.", justify="right", style="dim", no_wrap=True)
    for group, lines in methods.groups:
        if group:
            table.add_row(Text(group, style="bold", overflow="fold"))
        for line in lines:
            scores = [] if narrow else [_stacked(_score(cell)) for cell in line.cells]
            relative, *speeds = _rest(line)
            cells: list[Text | str] = [*scores, _stacked(relative), *speeds]
            cells += [_published(line)] if published else []
            table.add_row(Text(line.method), *cells, style=None if group else "bold")
    console.print(table, width=width)
    console.print(Text(legend(methods), style="dim"), width=width)


def methods_html(methods: Methods) -> str:
    """The table as a section of the report."""
    published = methods.origin in BACKBONES
    heads = [*methods.tasks, *HEADS, *(["published"] if published else [])]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = ""
    for group, lines in methods.groups:
        if group:
            body += (
                f'<tr class="task"><th colspan="{len(heads) + 1}" scope="rowgroup">'
                f"{escape(group)}</th></tr>"
            )
        for line in lines:
            cells = [_score(cell) for cell in line.cells] + _rest(line)
            row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            row += f"<td><small>{_published(line)}</small></td>" if published else ""
            kind = "" if group else ' class="baseline"'
            row = f'<th scope="row">{escape(line.method)}</th>{row}'
            body += f"<tr{kind}>{row}</tr>"
    return (
        '<section><h2>Methods</h2><div class="scroll"><table><thead><tr><th scope="col">Method</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"<dl><dt>Methods</dt><dd>{escape(legend(methods))}</dd></dl></section>"
    )


def _score(cell: tuple[float, float] | None) -> str:
    if cell is None:
        return "-"
    return f"{cell[0]:.1f}" + ("" if math.isnan(cell[1]) else f" ± {cell[1]:.1f}")


def _stacked(score: str) -> Text:
    """A score with its error below it."""
    value, plus_minus, error = score.partition(" ± ")
    text = Text(value)
    return text.append(f"\n±{error}", style="dim") if plus_minus else text


def _rest(line: Line) -> list[str]:
    if math.isnan(line.relative[0]):
        return ["-"] * len(HEADS)
    numbers = (line.speedup, line.ideal, line.paper, line.projected)
    texts = ("-" if math.isnan(value) else f"{value:.2f}" for value in numbers)
    return [_score(line.relative), *texts]


def _published(line: Line) -> str:
    return "" if line.published is None else f"{line.published:.1f}"
