"""Tables in the terminal, at most 100 columns wide."""

from collections.abc import Mapping
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from saccade.studies.reports.table import WIDTH, Cell, Column, Table, TableGroup

FOLDED = 70
"""Columns of a terminal below which figures with notes under them are folded rather than cut."""
TONES = {"better": "green", "worse": "red", "": "dim"}


def print_table(table: Table, console: Console) -> None:
    """Print a table; narrower consoles get folded names, and fewer columns.

    Its title stands above it, as in it it would be folded to a narrow table's width.
    """
    width = min(console.width, WIDTH)
    if table.title:
        console.print(Text(table.title, style="bold"), width=width)
    if len(table.sections) == 1:
        for fact in table.sections[0].facts:
            console.print(Text(fact, style="dim"), width=width)
    console.print(_grid(table, width), width=width)


def print_group(group: TableGroup, console: Console) -> None:
    """Print the tables of a group, and what they mean."""
    for table in group.tables:
        title = ": ".join(filter(None, (group.heading, table.title)))
        print_table(replace(table, title=title), console)
    print_notes(group.notes, console)


def print_notes(notes: Mapping[str, str], console: Console) -> None:
    """Print what columns mean, as one paragraph."""
    text = " ".join(f"{term}: {meaning}" for term, meaning in notes.items())
    console.print(Text(text, style="dim"), width=min(console.width, WIDTH))


def _grid(table: Table, width: int) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=len(table.columns) > 9)
    grid.add_column(Text(table.names), overflow="fold", ratio=1, min_width=10)
    shown = [i for i, column in enumerate(table.columns) if width >= column.narrowest]
    rooms, widest = {}, table.widest_notes()
    for i in shown:
        heading = table.columns[i].heading
        room = rooms[i] = _room(table, i, len(widest[i]), width)
        # On the left, padded: on the right the figures of rows without a note would move.
        grid.add_column(
            Text(f"{heading:>{sum(room)}}" if room else heading),
            justify="left" if room else "right",
            no_wrap=width >= FOLDED or not table.columns[i].stacked,
        )
    for section in table.sections:
        if section.title:
            grid.add_row(Text(section.title, style="bold", overflow="fold"))
        for line in section.lines:
            cells = [_text(table.columns[i], line.cells[i], rooms[i], width) for i in shown]
            # Text, as names may hold what rich would take for markup.
            grid.add_row(Text(line.name), *cells, style="bold" if line.baseline else None)
    return grid


def _room(table: Table, number: int, note: int, width: int) -> tuple[int, int] | None:
    """Characters that figures and notes of a column take, the longest `note` being so long; None
    where no notes follow figures."""
    column = table.columns[number]
    if column.stacked or width < column.notes_from or not note:
        return None
    return max(len(line.cells[number].text) for line in table.lines), note + 1


def _text(column: Column, cell: Cell, room: tuple[int, int] | None, width: int) -> Text:
    if room:
        return Text(f"{cell.text:>{room[0]}} {cell.note}")
    text = Text(cell.text)
    if column.stacked and cell.note and width >= column.notes_from:
        text.append(f"\n{cell.note}", style=TONES[cell.tone])
    return text
