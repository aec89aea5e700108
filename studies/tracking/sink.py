"""What a tracker is, and what is sent to one: plain values that know of no tracker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

BENCHES = Path("runs/bench")
"""From where benches are sent, which have no folder of their own."""
Kind = Literal["case", "study", "trial", "search", "bench", "report"]
"""What a run is of: a case or all cases of a study, a trial or all of a search, a bench's row, a
report about several of those."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Which class every cell of a grid over a picture has.

    Attributes
    ----------
    cells : tuple of tuple of int
        Classes, row by row; the grid is stretched over the picture.
    labels : mapping of int to str
        Names of the classes.
    """

    cells: tuple[tuple[int, ...], ...]
    labels: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a cell of a table.

    Attributes
    ----------
    png : bytes
    caption : str
    masks : mapping of str to Mask
        What is laid over it, by name; none where it is not known.
    later : callable, optional
        Gives masks that take time to make, and a word on them: called when the picture is sent. Its
        text form says what it gives, so that nobody need call it to see that this was sent before.
    """

    png: bytes
    caption: str = ""
    masks: Mapping[str, Mask] = field(default_factory=dict)
    later: "Callable[[], tuple[Mapping[str, Mask], str]] | None" = None

    def whole(self) -> "Picture":
        """The picture with its masks, and with the word in its caption."""
        if self.later is None:
            return self
        masks, word = self.later()
        return Picture(self.png, f"{self.caption}; {word}", {**self.masks, **masks})


Cell = str | int | float | bool | Picture | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple of Cell
        None: not known or not defined.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def pictures(self) -> list[Picture]:
        """Those in its cells."""
        return [cell for row in self.rows for cell in row if isinstance(cell, Picture)]

    def whole(self) -> "Grid":
        """The table with all masks of its pictures."""
        return replace(self, rows=tuple(tuple(map(_whole, row)) for row in self.rows))


def _whole(cell: Cell) -> Cell:
    return cell.whole() if isinstance(cell, Picture) else cell


@dataclass(frozen=True, slots=True)
class Series:
    """Values along an axis, each a chart of its own. Trackers append: what was sent stays as it is.

    Attributes
    ----------
    axis : str
        Such as ``step``.
    points : tuple of (int, mapping of str to float)
        Place on the axis, and the values there by name; ascending.
    """

    axis: str
    points: tuple[tuple[int, Mapping[str, float]], ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """Files that belong together.

    Attributes
    ----------
    kind : str
        Such as ``records`` or ``preset``.
    files : mapping of str to bytes
        Contents by name.
    about : mapping
        What else is said of it.
    """

    kind: str
    files: Mapping[str, bytes]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run as a tracker shows it.

    Attributes
    ----------
    id : str
        The same whenever it is sent, also from a copy of its folder; that of another run of the
        same recipe differs.
    name, group : str
        As people see them; runs of one study share the group.
    kind : Kind
    config : mapping
        Its recipe, in plain values.
    summary : mapping of str to plain values
        Achieved figures; what is not defined is left out.
    series : mapping of str to Series
    tables : mapping of str to Grid
    figures : mapping of str to str
        Plotly figures as JSON.
    uses, makes : mapping of str to Artifact
        What it was made with, and what it left.
    """

    id: str
    name: str
    group: str
    kind: Kind
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    series: Mapping[str, Series] = field(default_factory=dict)
    tables: Mapping[str, Grid] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, Artifact] = field(default_factory=dict)
    makes: Mapping[str, Artifact] = field(default_factory=dict)


class Sink(Protocol):
    """Where runs are sent: one class a tracker.

    A sink may be slow and may fail; whoever has results to lose sends through `Apart`.
    """

    def send(self, run: TrackedRun) -> None:
        """Send what of a run was not sent before.

        Raises
        ------
        Exception
            Of the tracker, whatever it may be.
        """
        ...

    def close(self) -> Sequence[str]:
        """End, and say where everything is."""
        ...
