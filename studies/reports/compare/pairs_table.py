"""The table of paired differences: what changed against the pinned baseline, and how sure."""

from collections.abc import Sequence
from typing import Literal

from saccade.studies.analysis.methods import defined
from saccade.studies.analysis.pairs import Pair
from saccade.studies.analysis.significance import LEVEL, POWER, fewest_pairs
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.tables import CANVAS, marks_of, with_column
from saccade.studies.reports.formats import interval, number, percent
from saccade.studies.reports.table import Cell, Column, Section, Table, line


def pairs_table(run: Run) -> Table:
    """Every case against the run's pinned baseline, with a section a task."""
    marks, pinned = marks_of(run), run.pairs.baseline
    by_task: dict[str, list[Pair]] = {}
    for pair in run.pairs.rows:
        by_task.setdefault(pair.task, []).append(pair)
    sections = tuple(
        Section(
            task,
            tuple(
                line(own.case, own, COLUMNS, baseline=own.case == pinned, mark=marks[own.case])
                for own in pairs
            ),
            facts=(_size(pairs),),
        )
        for task, pairs in by_task.items()
    )
    labels = {"run": run.label, "baseline": pinned}
    table = Table(run.label, "case", COLUMNS, sections, labels, by="task")

    def canvas(task: str, case: str) -> Cell:
        own = run.gen_length(case, task)
        return Cell("-" if own is None else str(own), values={"gen_length": own})

    return with_column(table, CANVAS, canvas)


def _size(pairs: Sequence[Pair]) -> str:
    first = pairs[0]
    binary = all(own.right_or_wrong for own in pairs)
    test = "McNemar's exact test, as answers are right or wrong" if binary else "exact sign test"
    return f"{first.n} samples on {first.pictures} pictures; {test}."


def _change(own: Pair) -> Cell:
    low, high = defined(own.change_low), defined(own.change_high)
    values = {"change": own.change, "change_low": low, "change_high": high}
    spread = "" if low is None or high is None else f"[{100 * low:+.1f}, {100 * high:+.1f}]"
    tone: Literal["", "better", "worse"] = ""
    if low is not None and high is not None and own.p_value < LEVEL:
        tone = "worse" if own.change < 0 else "better"
    return Cell(f"{100 * own.change:+.2f}", spread, tone, values=values)


def _p_value(own: Pair) -> Cell:
    values = {"p_value": own.p_value, "worse": own.worse, "better": own.better}
    text = f"{own.p_value:.1e}" if own.p_value < 0.001 else f"{own.p_value:.3f}"
    return Cell(text, f"{own.worse} : {own.better}", values=values)


def _flips(own: Pair) -> Cell:
    values = {"flip_rate": own.flip_rate, "broke": own.broke, "fixed": own.fixed}
    return Cell(percent(own.flip_rate, 1), f"-{own.broke} +{own.fixed}", values=values)


def _changed(own: Pair) -> Cell:
    return Cell(percent(own.changed, 1), values={"changed": own.changed})


def _least(own: Pair) -> Cell:
    value = defined(own.least_effect)
    return Cell(number(None if value is None else 100 * value, 1), values={"least_effect": value})


def _speedup(own: Pair) -> Cell:
    low, high = defined(own.speedup_low), defined(own.speedup_high)
    values = {"speedup": own.speedup, "speedup_low": low, "speedup_high": high}
    return Cell(number(defined(own.speedup), 2), interval(low, high), values=values)


COLUMNS = (
    Column(
        "change",
        _change,
        "of the score in points of 100, mean over the same samples, with its 95 % interval "
        "(Student's t over pictures; samples of one picture may depend on each other). Coloured "
        f"where p is below {LEVEL:g}.",
        strong=True,
    ),
    Column(
        "p",
        _p_value,
        "exact and two-sided, of as many pictures getting worse as better: McNemar's test where "
        "answers are right or wrong, the sign test otherwise. Behind it pictures worse : better. "
        "Not corrected for the number of rows: of twenty that change nothing one is below "
        f"{LEVEL:g}.",
    ),
    Column(
        "flips",
        _flips,
        "share of the answers that score less (broke, -) or more (fixed, +) than the unpruned "
        "model's.",
    ),
    Column("changed", _changed, "share of the answers whose text is not the unpruned model's."),
    Column(
        "least effect",
        _least,
        f"the least change, in points, that so many pictures would have shown in {POWER:.0%} of "
        f"studies like this one; at least what {fewest_pairs()} pictures changing alike make, with "
        "fewer of which the exact test finds nothing.",
    ),
    Column(
        "speed-up",
        _speedup,
        "measured, over the pinned baseline's time on the same units, with its 95 % interval.",
    ),
)
