"""A study looked back on, as tables: how near each case comes to what hindsight could choose."""

import math

from saccade.studies.analysis.hindsight import Estimate, Front, Hindsight, Line
from saccade.studies.reports.formats import interval, number, percent
from saccade.studies.reports.table import Cell, Column, Table, TableGroup

NOTES = {
    "less work": "multiply-accumulates of the unpruned model over the case's, tower and projector "
    "included",
    "changed": "answers whose text is not the unpruned model's",
    "closed": "share of the distance in work from the best fixed schedule to the oracle that a "
    "case closes; only of cases that lose no more than is allowed",
    "oracle": "by sample the cheapest of all cases that scores no less than the unpruned model "
    "does on it, which nobody can know before",
    "area": "share of the score above 80 % times share of the work saved that the cases of a group "
    "dominate together",
    "intervals": "95 %, by resampling the samples",
}


def hindsight_group(found: list[Hindsight], model: str, max_drop: float) -> TableGroup:
    """Two tables for each task: its cases, and the fronts of its groups of cases."""
    tables = [table for one in found for table in (_cases(one, max_drop), _fronts(one))]
    return TableGroup(model, tuple(tables), NOTES)


def _cases(one: Hindsight, max_drop: float) -> Table:
    columns = [
        Column("group", lambda own: Cell(own.group, values={"group": own.group}), narrowest=80),
        Column("score", _score),
        Column("changed", _changed, narrowest=70),
        Column("less work", _work, strong=True, notes_from=60),
        Column("closed", _closed, notes_from=90),
    ]
    best = one.best_fixed or "none, so the unpruned model counts"
    title = f"{one.task}, {one.n} samples, at most {percent(max_drop, 1)} of the score lost; "
    rows = sorted((*one.lines, one.oracle), key=lambda own: own.cost.value)
    return Table.of(
        title + f"best fixed schedule: {best}",
        "case",
        columns,
        [(own.case, own) for own in rows],
        baseline=one.best_fixed,
    )


def _score(own: Line) -> Cell:
    text, values = percent(own.relative, 1), {"score_relative": own.relative}
    if own.allowed:
        return Cell(text, values=values)
    return Cell(text, "too little", "worse", values=values)


def _changed(own: Line) -> Cell:
    return Cell(percent(own.changed, 1), values={"changed": own.changed})


def _work(own: Line) -> Cell:
    cost = own.cost
    values = {"cost": cost.value, "cost_low": cost.low, "cost_high": cost.high}
    return Cell(
        f"{number(1 / cost.value, 2)}x", interval(1 / cost.high, 1 / cost.low), "", None, values
    )


def _closed(own: Line) -> Cell:
    values = {"closed": own.closed.value, "closed_low": own.closed.low}
    values |= {"closed_high": own.closed.high}
    if not own.allowed or math.isnan(own.closed.value):
        return Cell("-", values=values)
    return Cell(percent(own.closed.value, 0), _range(own.closed, 100, 0), values=values)


def _fronts(one: Hindsight) -> Table:
    columns = [Column("area", _area, strong=True), Column("more than the reference", _gain)]
    return Table.of(f"{one.task}: fronts", "group", columns, [(f.group, f) for f in one.fronts])


def _area(own: Front) -> Cell:
    values = {"area": own.area.value, "area_low": own.area.low, "area_high": own.area.high}
    return Cell(number(own.area.value, 4), _range(own.area, 1, 4), values=values)


def _gain(own: Front) -> Cell:
    gain = own.gain
    values = {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
    text, note = f"{gain.value:+.4f}", _range(gain, 1, 4)
    if gain.low > 0:
        return Cell(text, note, "better", values=values)
    return Cell(text, note, "worse" if gain.high < 0 else "", values=values)


def _range(own: Estimate, scale: float, digits: int) -> str:
    low, high = own.low * scale, own.high * scale
    return "" if math.isnan(low) else f"[{low:.{digits}f}, {high:.{digits}f}]"
