"""The front of a search as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from saccade.studies.reports.formats import interval
from saccade.studies.reports.table import Cell, Column, Table

HELP = {
    "less work": "exact multiply-accumulates of the unpruned model relative to its own",
    "less time": "measured time of the unpruned model relative to its own, while searching",
    "allowed": "whether it loses no more of the score than was asked for",
    "score": "mean score on the samples it was tuned on, relative to the unpruned model",
    "test": "the same on samples that the search never saw",
    "measured": "speed-up in time, paired with the unpruned model, with its 95 % interval",
    "changed": "share of the answers that differ from the unpruned ones",
}


def front_table(rows: Sequence[Mapping[str, Any]], title: str, objective: str = "cost") -> Table:
    """A row a setting, in the order given; `objective` as in `Goal`."""
    columns = [
        Column(
            saved(objective), lambda r: Cell(f"{r['ideal']:.2f}x", values={"ideal": r["ideal"]})
        ),
        Column("score", _score),
        Column("allowed", lambda r: Cell("yes" if r["feasible"] else "no")),
    ]
    if rows and "test_score" in rows[0]:
        columns += [
            Column("test", lambda r: Cell(f"{r['test_relative']:.1%}")),
            Column("measured", _measured),
        ]
    columns.append(Column("changed", lambda r: Cell(f"{r['changed']:.0%}")))
    columns = [replace(own, help=HELP[own.heading]) for own in columns]
    return Table.of(title, "setting", columns, [(_name(row), row) for row in rows])


def saved(objective: str) -> str:
    """What a search for this objective saves."""
    return "less time" if objective == "latency" else "less work"


def _name(row: Mapping[str, Any]) -> str:
    text = row["policy"] if row["pruner"] is None else f"{row['policy']} with {row['pruner']}"
    return f"{row['name']}: {text}" if row["name"] else text


def _score(row: Mapping[str, Any]) -> Cell:
    share = row["score"] / row["bare"] if row["bare"] else 1.0
    return Cell(f"{share:.1%}", values={"score": row["score"]})


def _measured(row: Mapping[str, Any]) -> Cell:
    if row.get("measured") is None:
        return Cell("-")
    low, high = row.get("measured_low"), row.get("measured_high")
    values = {"measured": row["measured"], "measured_low": low, "measured_high": high}
    return Cell(f"{row['measured']:.2f}x", interval(low, high), values=values)
