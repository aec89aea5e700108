"""Several models side by side: what each case changes in each model's score, and gains in time."""

from collections.abc import Callable, Sequence

from saccade.studies.analysis.summary import Row, Summary, acted
from saccade.studies.reports.formats import number, plus_minus
from saccade.studies.reports.table import Cell, Column, Table, TableGroup

SURE = 2.0
"""Standard errors beyond which a change is marked."""
UNTOUCHED = "no drop"
"""Said of a case whose policy dropped nothing in any sample."""
Rows = dict[str, Row]
"""One case's rows, by task."""


def overview_groups(summaries: Sequence[Summary]) -> list[TableGroup]:
    """Tables of cases by tasks, one per model: of scores, and of speed-ups."""
    return [
        TableGroup(
            heading,
            tuple(_table(summary, maker) for summary in summaries),
            {heading.lower(): meaning},
        )
        for heading, maker, meaning in (
            ("Score", score_cell, _SCORE),
            ("Speed-up", speed_cell, _SPEED),
        )
    ]


def score_cell(row: Row, summary: Summary) -> Cell:
    """Score in percent; its change from the baseline's as the note.

    The change has its standard error, and a tone if it is more than `SURE` of these. `UNTOUCHED`
    stands where a policy never came to drop anything, nothing for the baseline.
    """
    score, values = number(100 * row["score"], 1), {f"score_{row['task']}": row["score"]}
    if row["case"] == summary.config.baseline:
        return Cell(score, values=values)
    if _untouched(row, summary):
        return Cell(score, UNTOUCHED, values=values)
    change, se = 100 * row["score_change"], row["score_change_se"]
    error = None if se is None else 100 * se
    sure = error is not None and abs(change) > SURE * error and abs(change) >= 0.05
    note = f"{change:+.1f} {plus_minus(error, 1)}".strip()
    return Cell(score, note, ("better" if change > 0 else "worse") if sure else "", values=values)


def speed_cell(row: Row, summary: Summary) -> Cell:
    """Measured and ideal speed-up."""
    names = ("speedup", "speedup_ideal")
    text = " / ".join(number(row[name], 2) for name in names)
    return Cell(text, values={f"{name}_{row['task']}": row[name] for name in names})


_SCORE = (
    "in percent, and under it the mean change from the same model's baseline over the same samples "
    f"with its standard error; coloured where it is more than {SURE:.0f} of these. “{UNTOUCHED}”: "
    "the policy never acted, as no answer was long enough or no signal asked for it."
)
_SPEED = (
    "of the same model's baseline: measured, preparation included / ideal, by exact "
    "multiply-accumulates. The tables of each model have the measured one's 95 % interval."
)


def _untouched(row: Row, summary: Summary) -> bool:
    """Whether a policy was there and did nothing in any sample."""
    ruled = {case.name for case in summary.config.cases if not case.bare}
    bare = (r for r in summary.rows() if r["case"] == summary.config.baseline)
    same = next((r for r in bare if r["task"] == row["task"]), None)
    return row["case"] in ruled and not acted(row, same)


def _table(summary: Summary, maker: Callable[[Row, Summary], Cell]) -> Table:
    """A model's table: one row per case, one column per task, in the study's order."""

    def column(task: str) -> Column:
        def cell(rows: Rows) -> Cell:
            return maker(rows[task], summary) if task in rows else Cell("-")  # no records yet

        return Column(task, cell, stacked=True, notes_from=76)

    origin = summary.recipe["backbone"]["origin"]
    missing = "" if summary.finished else f", unfinished: {summary.done} of {summary.total} units"
    rows: dict[str, Rows] = {case.name: {} for case in summary.config.cases}
    for row in summary.rows():
        rows[row["case"]][row["task"]] = row
    return Table.of(
        f"{summary.config.model} ({origin}{missing})",
        "case",
        [column(task) for task in summary.config.tasks],
        list(rows.items()),
        baseline=summary.config.baseline,
    )
