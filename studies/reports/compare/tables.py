"""The report's tables of results, of methods, and of what each task keeps under each case."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from saccade.studies.analysis.methods import has_methods, methods_of
from saccade.studies.analysis.overall import mean_of
from saccade.studies.reports.compare.kinds import KINDS, case_kind
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.formats import percent
from saccade.studies.reports.marks import Mark
from saccade.studies.reports.methods_table import methods_group
from saccade.studies.reports.results_table import PAGE, results_table
from saccade.studies.reports.table import Cell, Column, Table, TableGroup

CellOf = Callable[[str, str], Cell]
"""Makes a cell from the title of a section and the name of a row."""
CANVAS = Column(
    "gen_length",
    lambda _: Cell(""),
    "tokens of the canvas that the answer is denoised on.",
)
FLIPS = Column(
    "flips",
    lambda _: Cell(""),
    "share of the answers that score less (broke) or more (fixed) than the unpruned model's on the "
    "same sample, and how many of each.",
)
PUBLISHED = "†"
"""Marks figures that others have published."""


def results(run: Run) -> Table:
    """All figures of a run, with flips and canvas."""
    marks = marks_of(run)
    table = results_table(run.summary, PAGE, marks)
    table = with_column(table, FLIPS, lambda task, case: _flips(run, case, task), after="relative")
    return with_column(table, CANVAS, lambda task, case: _canvas(run, case, task))


def marks_of(run: Run) -> dict[str, Mark]:
    """How each case is marked: by its kind."""
    own = run.summary
    return {case.name: KINDS[case_kind(case, own.recipe)] for case in own.config.cases}


def with_column(table: Table, column: Column, cell_of: CellOf, after: str | None = None) -> Table:
    """A table with one more column, at the end or after the column that `after` begins."""
    headings = [own.heading for own in table.columns]
    place = len(headings)
    if after is not None:
        starts = (i for i, h in enumerate(headings) if h == after or h.startswith("vs "))
        place = next(starts, len(headings) - 1) + 1

    def added(cells: Sequence[Any], own: Any) -> tuple[Any, ...]:
        return (*cells[:place], own, *cells[place:])

    sections = tuple(
        replace(
            section,
            lines=tuple(
                replace(line, cells=added(line.cells, cell_of(section.title, line.name)))
                for line in section.lines
            ),
        )
        for section in table.sections
    )
    return replace(table, columns=added(table.columns, column), sections=sections)


def _flips(run: Run, case: str, task: str) -> Cell:
    pair = run.pair(case, task)
    if pair is None:
        return Cell("-")
    names = ("flip_rate", "broke", "fixed", "changed")
    values = {name: getattr(pair, name) for name in names}
    note = f"-{pair.broke} +{pair.fixed}" if pair.broke or pair.fixed else ""
    return Cell(percent(pair.flip_rate, 1), note, values=values)


def _canvas(run: Run, case: str, task: str) -> Cell:
    own = run.gen_length(case, task)
    return Cell("-" if own is None else str(own), values={"gen_length": own})


def methods(runs: Sequence[Run]) -> TableGroup | None:
    """Tables of methods by tasks, with published figures beside; None where no run is about any."""
    tables: list[Table] = []
    notes: dict[str, str] = {}
    for run in runs:
        if has_methods(run.summary):
            group = methods_group(methods_of(run.summary))
            table = _marked(replace(group.tables[0], title=run.label))
            tables.append(_with_canvases(table, run))
            notes |= group.notes
    if not tables:
        return None
    notes |= {
        PUBLISHED: "published by others for another model and other tasks; not measured here."
    }
    notes |= {CANVAS.heading: "tokens of the canvas, task by task in the order of the columns."}
    return TableGroup("Methods by tasks", tuple(tables), notes)


def _marked(table: Table) -> Table:
    """With published figures marked as such."""
    at = [i for i, column in enumerate(table.columns) if column.heading == "publ."]
    if not at:
        return table

    def cells(own: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(
            replace(c, text=f"{c.text} {PUBLISHED}") if i in at and c.text else c
            for i, c in enumerate(own)
        )

    sections = tuple(
        replace(s, lines=tuple(replace(line, cells=cells(line.cells)) for line in s.lines))
        for s in table.sections
    )
    columns = tuple(
        replace(c, heading=f"publ. {PUBLISHED}") if i in at else c
        for i, c in enumerate(table.columns)
    )
    return replace(table, columns=columns, sections=sections)


def _with_canvases(table: Table, run: Run) -> Table:
    config = run.summary.config
    own = [run.gen_length(config.baseline, task) for task in config.tasks]
    text = ", ".join("-" if length is None else str(length) for length in own)
    values = {f"gen_length_{t}": n for t, n in zip(config.tasks, own, strict=True)}
    return with_column(table, CANVAS, lambda _, __: Cell(text, values=values))


def retention(run: Run) -> tuple[Table, str]:
    """What each case keeps of the score on each task, coloured by what is lost, and the worst."""
    cells: dict[str, dict[str, Any]] = {case.name: {} for case in run.summary.config.cases}
    for row in run.rows:
        cells[row["case"]][row["task"]] = row

    def column(task: str) -> Column:
        def cell(rows: dict[str, Any]) -> Cell:
            share = rows[task]["score_relative"] if task in rows else None
            values = {f"score_relative_{task}": share}
            lost = None if share is None else min(1.0, max(0.0, 1 - share))
            return Cell(percent(share, 1), values=values, heat=lost)

        return Column(task, cell)

    def mean(rows: dict[str, Any]) -> Cell:
        share = mean_of(list(rows.values()), "score_relative") if rows else None
        return Cell(percent(share, 1), values={"score_relative_mean": share})

    def worst(rows: dict[str, Any]) -> Cell:
        lost = {task: share for task, share in _known(rows).items() if share < 1}
        name = min(lost, key=lambda task: lost[task], default=None)
        return Cell(name or "-", values={"worst_task": name})

    columns = [*map(column, run.tasks), Column("mean", mean), Column("worst task", worst)]
    base = run.summary.config.baseline
    table = Table.of(run.label, "case", columns, list(cells.items()), baseline=base)
    return table, _worst(cells, base)


def _known(rows: dict[str, Any]) -> dict[str, float]:
    shares = {task: row["score_relative"] for task, row in rows.items()}
    return {task: share for task, share in shares.items() if share is not None}


def _worst(cells: dict[str, dict[str, Any]], baseline: str) -> str:
    """The worst task of all cases, and the case that loses most on it."""
    lows = [
        (share, task, case)
        for case, rows in cells.items()
        if case != baseline
        for task, share in _known(rows).items()
    ]
    if not lows:
        return "No case has a score to compare."
    share, task, case = min(lows)
    if share >= 1:
        return "Worst task: none, as no case loses anything on any."
    return f"Worst task: {task}, of which “{case}” keeps {percent(share, 1)} of the score."
