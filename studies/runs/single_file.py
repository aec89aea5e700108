"""Runs of earlier releases and committed ones: all records in one file, perhaps compressed."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.record import RECORD, Record
from saccade.studies.tasks.json_lines import numbered_lines

SINGLE = ("records.jsonl", "records.jsonl.gz")
Due = set[tuple[str, int]]
"""Case and sample of the records that a unit still lacks."""


def single_file(folder: Path) -> Path | None:
    """The file with all records of a folder; None where units have files of their own."""
    return next((folder / name for name in SINGLE if (folder / name).exists()), None)


def read_single_file(path: Path, config: StudyConfig) -> list[Record]:
    """Records of the complete units in one file.

    A last line that was cut off (also if only its line feed is missing), and a last unit of which
    only a part was written, are left out: that was an interruption.

    Raises
    ------
    StudyError
        If anything but the end is damaged, naming the line.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    units = {(unit.task, unit.number): unit for unit in plan_units(config)}
    cases = [case.name for case in config.cases]
    records: list[Record] = []
    pending: list[Record] = []
    due: Due = set()
    lines = numbered_lines(data[: data.rfind(b"\n") + 1], path.name)
    for number, line in lines:
        try:
            pending.append(RECORD.validate_json(line))
            if len(pending) == 1:
                due = _due(pending[0], units, cases)
            _count(pending, due)
        except ValueError as error:
            if number == lines[-1][0]:
                break
            reason = str(error).splitlines()[0]  # pydantic's go on for a screen
            raise StudyError(f"line {number} of {path.name} is damaged: {reason}") from error
        if not due:
            units.pop((pending[0].task, pending[0].unit))
            records += pending
            pending = []
    return records


def _due(first: Record, units: dict[tuple[str, int], Unit], cases: Sequence[str]) -> Due:
    """What the unit of its first record has; `ValueError` if there is none, or it was there."""
    unit = units.get((first.task, first.unit))
    if unit is None:
        raise ValueError(f"unit {first.unit} of task {first.task!r} is foreign or was there before")
    return {(case, sample) for case in cases for sample in unit.samples}


def _count(pending: Sequence[Record], due: Due) -> None:
    """Take the last record off what is due; `ValueError` if it does not belong to the unit."""
    first, last = pending[0], pending[-1]
    own = last.case, last.sample
    if (last.task, last.unit) != (first.task, first.unit) or own not in due:
        raise ValueError(f"case {last.case!r}, sample {last.sample} does not belong there")
    due.remove(own)
