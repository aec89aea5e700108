"""How cases are told apart on a page: colours, plotly's symbols, the same symbols as characters."""

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#2f6db5", "#d0561a", "#1b8a6b", "#8c4bab", "#a87b12", "#c43b62", "#3a93bd", "#7a6a53")
BASELINE = "#3a3f47"
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
    """Give each case a mark: the baseline's own, and from the palettes for the rest."""
    others = [case for case in cases if case != baseline]
    marks = {baseline: Mark(BASELINE, *SYMBOLS[0])}
    for i, case in enumerate(others):
        again = i // len(COLOURS)  # another symbol for a colour that comes back
        marks[case] = Mark(COLOURS[i % len(COLOURS)], *SYMBOLS[(i + 1 + again) % len(SYMBOLS)])
    return marks
