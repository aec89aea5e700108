"""A table as data: what stands in it is decided once, for the terminal, for pages and for CSV."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from saccade.studies.reports.marks import Mark

WIDTH = 100
"""Columns of a terminal that a table takes at most."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text : str
        The figure, as it is read.
    note : str
        What belongs to it, in small: an error, an interval, a change.
    tone : {"", "better", "worse"}
        How the note is coloured.
    bar : float or None
        A share, 0 to 1, that pages draw behind the text.
    values : mapping of str to value
        The same as plain values for CSV, in full precision; None where not defined.
    heat : float or None
        How strongly pages colour the cell, 0 to 1.
    """

    text: str
    note: str = ""
    tone: Literal["", "better", "worse"] = ""
    bar: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    heat: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column after that of the names.

    Attributes
    ----------
    heading : str
    cell : callable
        Makes a row's cell.
    help : str
        What it means; empty where the notes of the table say it.
    stacked : bool
        Whether notes stand under the figures, not after them.
    strong : bool
        Whether its figures are what the table is about.
    narrowest, notes_from : int
        Columns of a terminal from which on it is shown, and its notes are.
    """

    heading: str
    cell: Callable[[Any], Cell]
    help: str = ""
    stacked: bool = False
    strong: bool = False
    narrowest: int = 0
    notes_from: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its name, its cells, and whether it is what the others are compared with."""

    name: str
    cells: tuple[Cell, ...]
    baseline: bool = False
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together, under a title of their own where it is not empty.

    ``facts`` are sentences about all of them.
    """

    title: str
    lines: tuple[Line, ...]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `names` is the heading of its first column.

    ``labels`` are columns of the CSV that are the same in every row, such as the model's name;
    ``by`` is the name of that which has the title of each row's section.
    """

    title: str
    names: str
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    by: str = "section"

    @classmethod
    def of(
        cls,
        title: str,
        names: str,
        columns: Sequence[Column],
        rows: Sequence[tuple[str, Any]],
        baseline: str | None = None,
    ) -> "Table":
        """A table of one section from named rows, from which the columns make their cells."""
        lines = (line(name, row, columns, baseline=name == baseline) for name, row in rows)
        return cls(title, names, tuple(columns), (Section("", tuple(lines)),))

    def apart(self) -> "list[Table]":
        """A table for each section, with the section's title and facts as its own."""
        return [
            replace(self, title=own.title, sections=(replace(own, title=""),))
            for own in self.sections
        ]

    def helps(self) -> dict[str, str]:
        """What its columns mean, by their headings."""
        return {column.heading: column.help for column in self.columns if column.help}

    def widest_notes(self) -> list[str]:
        """The longest note of each column, which the others are set under."""
        return [
            max((own.cells[i].note for own in self.lines), key=len, default="")
            for i in range(len(self.columns))
        ]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All rows."""
        return tuple(own for section in self.sections for own in section.lines)

    def rows(self) -> list[dict[str, Any]]:
        """Plain values of all rows: labels, title of the section, name, and every cell's values."""
        found = []
        for section in self.sections:
            titled = {self.by: section.title} if section.title else {}
            for own in section.lines:
                values = {key: value for cell in own.cells for key, value in cell.values.items()}
                found.append({**self.labels, **titled, self.names: own.name, **values})
        return found


@dataclass(frozen=True, slots=True)
class TableGroup:
    """Tables under one heading, and what they mean: terms with their explanations."""

    heading: str
    tables: tuple[Table, ...]
    notes: Mapping[str, str]


def line(
    name: str,
    row: Any,
    columns: Sequence[Column],
    *,
    baseline: bool = False,
    mark: Mark | None = None,
) -> Line:
    """A row of a table with these columns."""
    return Line(name, tuple(column.cell(row) for column in columns), baseline, mark)


def to_csv(tables: Sequence[Table]) -> str:
    """Tables with the same columns as one CSV, in full precision; empty where not defined."""
    rows = [row for table in tables for row in table.rows()]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
