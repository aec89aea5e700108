"""Runs with other answers than were given: of every kind, and hostile ones."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from saccade.studies.runs.record import RECORD, Record

Change = Callable[[Record], Record]
HOSTILE = "</script><img src=x onerror=ran(1)>%{x}\u2028|\n& 'all' \\_{}"
"""Ends scripts and lines, brings an element that runs, and means something to plotly, to Markdown
and to LaTeX."""
LONG_ANSWER = 2_000_000
"""Letters of one answer."""
STUDY_OF_HOSTILE = json.dumps(
    {
        "name": HOSTILE,
        "model": "embedded/llada-v",
        "samples": 3,
        "batch": 3,
        "tasks": ["yesno"],
        "baseline": "none",
        "cases": [
            {"name": "none"},
            {
                "name": HOSTILE,
                "method": HOSTILE,
                "group": HOSTILE,
                "policy": "after_share(share=0.0, keep=0.5)",
                "pruner": "random()",
            },
            {"name": "auto", "policy": "auto()"},
        ],
    }
)
"""YAML reads JSON."""


def changed(run: Path, copy: Path, change: Change) -> Path:
    """Copy a run with every record changed, and return the copy's folder."""
    shutil.copytree(run, copy)
    for path in copy.rglob("units/*.jsonl"):
        records = [RECORD.validate_json(line) for line in path.read_bytes().splitlines()]
        path.write_bytes(b"".join(change(record).line() for record in records))
    return copy


def right(record: Record) -> Record:
    return replace(record, answer=record.expected, score=1.0, exact=1.0, rows=1.0, symbols=1.0)


def wrong(record: Record) -> Record:
    """Another word in front of the right ones."""
    answer = f"not {record.expected}"
    return replace(record, answer=answer, score=0.25, exact=0.0, rows=0.0, symbols=0.0)


def every_kind(record: Record) -> Record:
    """The unpruned model fails on sample 1 of codes alone, and "half from the start" on all of
    codes; the others are right."""
    bad = record.task == "code" and (
        record.case == "half from the start" or (record.case == "none" and record.sample == 1)
    )
    return wrong(record) if bad else right(record)


def hostile(record: Record) -> Record:
    """Answers that are hostile, and one that is long as well."""
    own = right(record) if record.case == "none" else wrong(record)
    much = "x " * (LONG_ANSWER // 2) if record.case == "auto" and record.sample == 0 else ""
    return own if record.case == "none" else replace(own, answer=HOSTILE + much)
