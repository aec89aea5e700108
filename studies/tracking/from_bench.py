"""From a bench to runs: one a row, and one with the table of all."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.studies.tracking.from_study import run_id
from saccade.studies.tracking.sink import Artifact, Cell, Grid, Series, TrackedRun

FIGURES = (
    *("speedup", "speedup_min", "speedup_max", "speedup_low", "speedup_high"),
    *("speedup_ideal", "share_of_ideal", "visual_tokens", "visual_tokens_kept"),
    *("macs", "macs_bare", "peak_bytes", "repeats"),
)
"""What was measured; everything else in a row says how."""
TIMES = ("seconds", "seconds_bare")
BENCH = "bench.json"
"""The rows in a tracker, a file that ``saccade report`` reads."""


def bench_runs(rows: Sequence[Mapping[str, Any]]) -> Iterator[TrackedRun]:
    """Runs of the rows that ``saccade bench --json`` prints, or of those that were read from it.

    Times are measured anew whenever a bench runs, so every bench is a group of its own.
    """
    if not rows:
        return
    rows = [_plain(row) for row in rows]
    key = run_id("bench", rows)
    group = f"bench-{key[-6:]}"
    for place, row in enumerate(rows):
        yield _row_run(row, place, key, group)
    columns = ("case", *(name for name in FIGURES if any(name in row for row in rows)))
    table = tuple(tuple(_cell(_named(row, name)) for name in columns) for row in rows)
    yield TrackedRun(
        id=run_id("bench", key),
        name=group,
        group=group,
        kind="bench",
        config=_setup(rows[0]),
        summary={"rows": len(rows)},
        tables={"cases": Grid(columns, table)},
        makes={group: Artifact("bench", {BENCH: json.dumps(rows, indent=1).encode() + b"\n"})},
    )


def _row_run(row: Mapping[str, Any], place: int, key: str, group: str) -> TrackedRun:
    repeats = max(len(row.get(name, ())) for name in TIMES)
    points = tuple(
        (i, {name: row[name][i] for name in TIMES if i < len(row.get(name, ()))})
        for i in range(repeats)
    )
    return TrackedRun(
        id=run_id("bench", key, place),
        name=str(_named(row, "case")),
        group=group,
        kind="bench",
        config=_setup(row),
        summary={name: row[name] for name in FIGURES if _is_number(row.get(name))},
        series={"repeats": Series("repeat", points)} if points else {},
    )


def _plain(value: Any) -> Any:
    """A value as JSON has it: what is no number is None, so that files give the same ids."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Mapping():
            return {str(key): _plain(own) for key, own in value.items()}
        case Sequence() | set() | frozenset():
            return [_plain(own) for own in value]
    return str(value)


def _setup(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in (*FIGURES, *TIMES)}


def _named(row: Mapping[str, Any], name: str) -> Any:
    """An entry; of the case's name, what stands for it where rows have none."""
    return row.get("policy", "bench") if name == "case" and name not in row else row.get(name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _cell(value: Any) -> Cell:
    return value if value is None or isinstance(value, str | int | float) else str(value)
