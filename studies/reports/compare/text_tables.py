"""The report's tables as text for papers: Markdown, LaTeX and CSV."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from saccade.studies.reports.compare.banners import banners
from saccade.studies.reports.compare.kinds import controls_table
from saccade.studies.reports.compare.lead import lead
from saccade.studies.reports.compare.pairs_table import pairs_table
from saccade.studies.reports.compare.provenance import provenance_table
from saccade.studies.reports.compare.runs import Run, make_runs
from saccade.studies.reports.compare.searching import presets_table, told_searches
from saccade.studies.reports.compare.sources import Sources
from saccade.studies.reports.compare.tables import methods, results, retention
from saccade.studies.reports.table import Cell, Table, to_csv

FORMATS = ("html", "md", "csv", "latex")
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "·": r"$\cdot$",
    "<": "$<$",
    ">": "$>$",
    **{own: f"\\{own}" for own in "{}%&_#$"},
}
"""How LaTeX writes what it reads otherwise."""
_SPECIAL = re.compile("[" + re.escape("".join(TEX)) + "]")
Entry = tuple[str, Table]


def comparison_text(sources: Sources, form: str, baseline: str | None = None) -> str:
    """The report as text.

    Parameters
    ----------
    sources : Sources
    form : "md", "csv" or "latex"
        CSV has the results of all studies alone, in full precision, with the values of
        ``saccade study show --csv``.
    baseline : str, optional
        As in `write_comparison`.
    """
    runs = make_runs(sources.runs, baseline)
    if form == "csv":
        return to_csv(_results(runs)) if runs else to_csv([own for _, own in _others(sources)])
    entries = [*_of_runs(runs), *_others(sources), ("Sources", provenance_table(runs, sources))]
    said = [*lead(runs, sources), *banners(runs, sources, baseline)]
    if form == "md":
        return _document(said, entries, _markdown_table, "## {}", _escaped, _escaped)
    return _document(said, entries, latex_table, "% {}", lambda text: f"% {text}")


def _results(runs: Sequence[Run]) -> list[Table]:
    """Tables of results, told apart by the study's name."""
    return [_labelled(run) for run in runs if run.rows]


def _labelled(run: Run) -> Table:
    own = results(run)
    return replace(own, labels={"study": run.summary.config.name, **own.labels})


def _of_runs(runs: Sequence[Run]) -> list[Entry]:
    entries = [(f"Results: {run.label}", results(run)) for run in runs if run.rows]
    entries += [
        (f"{run.label}, against {run.pairs.baseline}", pairs_table(run))
        for run in runs
        if run.pairs.rows
    ]
    group = methods(runs)
    entries += [(f"Methods: {t.title}", t) for t in (group.tables if group else ())]
    kept = [(run, *retention(run)) for run in runs if run.rows]
    entries += [(f"Kept of the score: {run.label}. {worst}", own) for run, own, worst in kept]
    return entries + ([("Rows of a fair comparison", controls_table(runs))] if runs else [])


def _others(sources: Sources) -> list[Entry]:
    entries = [(f"Search: {own.title}", own.table) for own in told_searches(sources.searches)]
    presets = presets_table(sources)
    return entries + ([] if presets is None else [("Presets", presets)])


def _document(
    said: Sequence[str],
    entries: Sequence[Entry],
    table: Callable[[Table], str],
    heading: str,
    sentence: Callable[[str], str],
    titled: Callable[[str], str] = str,
) -> str:
    parts = [sentence(one_line(text)) for text in said]
    for title, own in entries:
        parts += [heading.format(titled(one_line(title))), table(own).rstrip("\n")]
    return "\n\n".join(parts) + "\n"


def one_line(text: str) -> str:
    """A text without line breaks, whatever is in it."""
    return " ".join(text.split())


def _shown(cell: Cell) -> str:
    return one_line(f"{cell.text} {cell.note}".strip())


def _grid(table: Table) -> list[list[str]]:
    """Heading and rows as texts, with the titles of sections in a column of their own."""
    titled = any(section.title for section in table.sections)
    first = [table.by] if titled else []
    grid = [[*first, table.names, *(column.heading for column in table.columns)]]
    for section in table.sections:
        title = [one_line(section.title)] if titled else []
        grid += [[*title, one_line(own.name), *map(_shown, own.cells)] for own in section.lines]
    return grid


def _escaped(text: str) -> str:
    """As Markdown shows a text as it is."""
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", text)


def _markdown_table(table: Table) -> str:
    grid = [[_escaped(text) for text in row] for row in _grid(table)]
    rule = ["---", *("---:" for _ in grid[0][1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [grid[0], rule, *grid[1:]])


def latex_table(table: Table) -> str:
    """A ``tabular`` with booktabs' rules; every character is escaped."""
    grid = [[_SPECIAL.sub(lambda own: TEX[own[0]], text) for text in row] for row in _grid(table)]
    lines = [f"{' & '.join(row)} \\\\" for row in grid]
    form = "l" + "r" * (len(grid[0]) - 1)
    top = [rf"\begin{{tabular}}{{{form}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*top, *lines[1:], r"\bottomrule", r"\end{tabular}"])
