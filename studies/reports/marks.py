"""How cases are told apart on a page: colours, plotly's symbols, the same symbols as characters."""

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = (
    "#2f77c4",
    "#d0561a",
    "#1b8a6b",
    "#a05cc0",
    "#a87b12",
    "#d1436e",
    "#3a93bd",
    "#8a7459",
    "#5f8f2f",
    "#6f6fe0",
)
"""Each can be told from a light page and from a dark one, three to one or better."""
BASELINE = "#767c86"
SYMBOLS = (
    ("circle", "●"),
    ("diamond", "◆"),
    ("square", "■"),
    ("triangle-up", "▲"),
    ("star", "★"),
    ("triangle-down", "▼"),
    ("cross", "✚"),
    ("x", "✖"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """How a case is drawn: colour, plotly's symbol, and the same symbol as a character."""

    colour: str
    symbol: str
    glyph: str


def case_marks(cases: Sequence[str], baseline: str) -> dict[str, Mark]:
    """Give each case a mark: the baseline's own, and from the palettes for the rest.

    Of 80 cases no two have both the same colour and the same symbol.
    """
    others = [case for case in cases if case != baseline]
    marks = {baseline: Mark(BASELINE, *SYMBOLS[0])}
    for i, case in enumerate(others):
        again = i // len(COLOURS)  # another symbol for a colour that comes back
        marks[case] = Mark(COLOURS[i % len(COLOURS)], *SYMBOLS[(i + 1 + again) % len(SYMBOLS)])
    return marks
