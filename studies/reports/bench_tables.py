"""Tables of what `saccade bench` measures."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.studies.reports.formats import interval, number, percent
from saccade.studies.reports.table import Cell, Column, Table

Row = Mapping[str, Any]


def pruners_table(rows: Sequence[Row]) -> Table:
    """Pruners on a random model, a row a case of `saccade.studies.timing.speedups.Bench`."""
    named = [(row["case"], row) for row in rows]
    return Table.of(rows[0]["policy"], "case", _PRUNERS, named)


def policy_table(row: Row) -> Table:
    """One policy on a task, from `saccade.studies.timing.policies`."""
    title = row["policy"] + ("" if row["pruner"] is None else f", {row['pruner']}")
    return Table.of(title, "task", _POLICY, [(row["task"], row)])


def signals_table(rows: Sequence[Row]) -> Table:
    """What measuring signals costs, from `saccade.studies.timing.signals`."""
    return Table.of("", "measured", _SIGNALS, [(row["measured"], row) for row in rows])


def _share_of_time(row: Row) -> Cell:
    names = ("share", "least", "most")
    share, least, most = (f"{row[name]:.2%}" for name in names)
    return Cell(share, f"({least} to {most})", values={name: row[name] for name in names})


def _range(row: Row) -> Cell:
    ends = {name: row[name] for name in ("speedup_min", "speedup_max")}
    text = " to ".join(number(value, 2) for value in ends.values())
    return Cell(number(row["speedup"], 2), f"({text})", values={"speedup": row["speedup"], **ends})


def _interval(row: Row) -> Cell:
    names = ("speedup", "speedup_low", "speedup_high")
    spread = interval(row["speedup_low"], row["speedup_high"]) if row["repeats"] > 1 else ""
    return Cell(number(row["speedup"], 2), spread, values={name: row[name] for name in names})


def _ideal(row: Row) -> Cell:
    return Cell(number(row["speedup_ideal"], 2), values={"speedup_ideal": row["speedup_ideal"]})


def _share_of_ideal(row: Row) -> Cell:
    share = row["share_of_ideal"]
    return Cell(percent(share), values={"share_of_ideal": share})


def _kept(row: Row) -> Cell:
    kept = row["visual_tokens_kept"]
    return Cell(str(kept), values={"visual_tokens_kept": kept})


def _peak(row: Row) -> Cell:
    return Cell(number(row["peak_bytes"] / 1e6, 1), values={"peak_bytes": row["peak_bytes"]})


def _median(heading: str, name: str, meaning: str = "") -> Column:
    def cell(row: Row) -> Cell:
        seconds = statistics.median(row[name])
        return Cell(number(seconds, 3), values={name: seconds})

    return Column(heading, cell, meaning)


_IDEAL = Column("ideal", _ideal, "the same of exact multiply-accumulates.")
_OF_IDEAL = Column("of ideal", _share_of_ideal, "the speed-up divided by the ideal one.")
_PRUNERS = (
    Column(
        "speed-up",
        _range,
        "seconds without a controller over those of the case, paired by repeat: geometric mean, "
        "and least to most.",
        strong=True,
    ),
    _IDEAL,
    _OF_IDEAL,
    Column("kept", _kept, "visual tokens after the drop."),
    _median("seconds", "seconds", "median."),
    Column(
        "peak MB",
        _peak,
        "memory of an answer's tensors at once, in addition to the model and the request; "
        "attention's own working space is not in it.",
    ),
)
_POLICY = (
    Column(
        "speed-up",
        _interval,
        "seconds without a controller over seconds with it, pictures prepared and answers "
        "generated; geometric mean over repeats, and its 95 % interval (Student's, on logarithms).",
        strong=True,
    ),
    _IDEAL,
    _OF_IDEAL,
    _median("seconds without", "seconds_bare", "median of a batch, without the controller."),
    _median("with", "seconds", "the same with it."),
)
_SIGNALS = (Column("share of the time", _share_of_time),)
