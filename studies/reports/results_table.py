"""The table of a study's results: cases by what they scored, took and gained, task by task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from saccade.studies.analysis.summary import Row, Summary
from saccade.studies.reports.formats import duration, interval, number, percent, plus_minus
from saccade.studies.reports.marks import Mark
from saccade.studies.reports.table import Cell, Column, Section, Table, line


def _score(row: Row) -> Cell:
    values = {"score": row["score"], "score_se": row["score_se"]}
    return Cell(number(row["score"], 3), plus_minus(row["score_se"], 3), values=values)


def _speedup(row: Row) -> Cell:
    spread = interval(row["speedup_low"], row["speedup_high"])
    values = {name: row[name] for name in ("speedup", "speedup_low", "speedup_high")}
    return Cell(number(row["speedup"], 2), spread, values=values)


def _figure(heading: str, name: str, meaning: str, unit: float = 1, narrowest: int = 0) -> Column:
    """A column of one field with two decimals, in a unit of its own."""

    def cell(row: Row) -> Cell:
        value = None if row[name] is None else row[name] / unit
        return Cell(number(value, 2), values={name: row[name]})

    return Column(heading, cell, meaning, narrowest=narrowest)


def _relative(row: Row) -> Cell:
    relative = row["score_relative"]
    return Cell(percent(relative, 1), values={"score_relative": relative})


def _time(row: Row) -> Cell:
    seconds = row["seconds_per_sample"]
    return Cell(duration(seconds), values={"seconds_per_sample": seconds})


def _visual(row: Row) -> Cell:
    share = row["visual_tokens_ratio"]
    return Cell(percent(share), bar=share, values={"visual_tokens_ratio": share})


def _steps(row: Row) -> Cell:
    return Cell(number(row["steps"], 1), values={"steps": row["steps"]})


def _visual_tokens(row: Row) -> Cell:
    count = row["visual_tokens"]
    return Cell(f"{count:,.0f}", values={"visual_tokens": count})


COLUMNS = {
    "score": Column(
        "score",
        _score,
        "mean over the samples, with its standard error; 1 is best. Tasks of one row count answers "
        "that are right, tasks of several rows the share of rows that are.",
    ),
    "relative": Column(
        "relative", _relative, "score relative to the baseline's, on the same samples."
    ),
    "time": Column(
        "time",
        _time,
        "of a unit divided by its samples: preparing their inputs and generating their answers.",
    ),
    "speedup": Column(
        "speed-up",
        _speedup,
        "time of the baseline over that of the case, paired by unit, geometric mean; more than 1 "
        "is faster. In brackets its 95 % interval, by Student's t over the units.",
        strong=True,
        notes_from=68,
    ),
    "ideal": _figure(
        "ideal",
        "speedup_ideal",
        "the same ratio of exact multiply-accumulates, vision tower and projector included: what "
        "could be gained if time followed arithmetic.",
        narrowest=76,
    ),
    "ideal, paper": _figure(
        "ideal, paper",
        "speedup_ideal_paper",
        "the same by the published formula (decoder layers alone, an MLP of two matrices); only "
        "for comparing with published figures.",
    ),
    "projected": _figure(
        "projected",
        "speedup_projected",
        "the same when this run's own pattern of visual tokens is priced at the published size of "
        "LLaDA-V or LaViDa-Dream, without its vision tower. Counted, not measured, and only where "
        "such a model computes as this run did.",
        narrowest=96,
    ),
    "steps": Column(
        "steps",
        _steps,
        "taken by an answer, mean. Fewer than the baseline's: the case commits tokens ahead of the "
        "schedule, and is faster by that even if it drops nothing.",
        narrowest=88,
    ),
    "visual": Column(
        "visual",
        _visual,
        "share of the visual tokens that the answer could attend to, over all layers and steps.",
    ),
    "visual tokens": Column(
        "visual tokens",
        _visual_tokens,
        "those that the answer could attend to, summed over layers and steps.",
    ),
    "gmac": _figure(
        "GMAC",
        "macs",
        "billions of multiply-accumulates per sample, in the decoder and its output head, exact.",
        unit=1e9,
    ),
    "gmac, paper": _figure(
        "GMAC, paper", "macs_paper", "the same by the published formula.", unit=1e9
    ),
}
"""Every column that results can be shown in; a table chooses some."""
RESULTS = ("score", "relative", "speedup", "ideal", "projected", "steps", "visual")
"""Columns of the terminal's table."""
WORK = ("time", "steps", "visual tokens", "gmac", "gmac, paper")
"""Columns of its second table, of what each answer took."""
PAGE = (
    "score",
    "relative",
    "time",
    "speedup",
    "ideal",
    "ideal, paper",
    "projected",
    "steps",
    "visual",
    "gmac",
    "gmac, paper",
)
"""Columns of the report's table."""


def results_table(
    summary: Summary,
    columns: Sequence[str] = tuple(COLUMNS),
    marks: Mapping[str, Mark] | None = None,
) -> Table:
    """The table of one model, with a section a task.

    Parameters
    ----------
    summary : Summary
    columns : sequence of str
        Some of `COLUMNS`.
    marks : mapping of str to Mark, optional
        How each case is drawn on the page.
    """
    chosen = [_column(name, summary.config.baseline) for name in columns]
    sections = tuple(
        Section(
            task,
            tuple(
                line(
                    row["case"],
                    row,
                    chosen,
                    baseline=row["case"] == summary.config.baseline,
                    mark=None if marks is None else marks[row["case"]],
                )
                for row in rows
            ),
            facts=_facts(task, rows, summary),
        )
        for task, rows in by_task(summary).items()
    )
    model = summary.config.model
    return Table(model, "case", tuple(chosen), sections, {"backbone": model}, by="task")


def by_task(summary: Summary) -> dict[str, list[Row]]:
    """Rows of a summary, task by task."""
    tasks: dict[str, list[Row]] = {}
    for row in summary.rows():
        tasks.setdefault(row["task"], []).append(row)
    return tasks


def title_of(summary: Summary) -> str:
    """Which model a table or a chart is about, where a page has several."""
    return f"{summary.config.model} ({summary.recipe['backbone']['origin']})"


def heading(summary: Summary) -> str:
    """Name, model and size of the study, and how much of it there is."""
    config = summary.config
    seeds = f" and seed, {len(config.seeds)} seeds" if config.seeds else ""
    size = f"{config.name}: {config.model}, {config.samples} samples per task{seeds}"
    if summary.finished:
        return size
    return f"{size} (unfinished: {summary.done} of {summary.total} units)"


def _column(name: str, baseline: str) -> Column:
    """A column, with what depends on the study."""
    column = COLUMNS[name]
    if name == "relative" and len(baseline) <= 8:
        return replace(column, heading=f"vs {baseline}")
    return column


def _facts(task: str, rows: Sequence[Row], summary: Summary) -> tuple[str, ...]:
    """How many samples of a task were answered, and what the stored evaluation says of it."""
    settings = summary.recipe["settings"][task]
    steps = f"in {settings['steps']} steps" if "steps" in settings else "one a step"
    n, units = rows[0]["n"], rows[0]["n_units"]
    size = (
        f"{n} sample{'s' if n > 1 else ''} in {units} unit{'s' if units > 1 else ''}, "
        f"{settings['gen_length']} tokens {steps}."
    )
    stored = (
        f"Stored evaluation of {row['case']}: {number(row['score_committed_same'], 3)} on these "
        f"samples, {number(row['score_committed'], 3)} on all of its own."
        for row in rows
        if row["score_committed"] is not None
    )
    return size, *stored
