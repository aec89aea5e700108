"""Charts as a page shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from saccade.studies.analysis.summary import Summary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DASHES = {"solid": "", "dash": "7 5", "dot": "2 4", "dashdot": "7 4 2 4", "longdash": "11 5"}
"""Plotly's names of dashes, and the same in SVG."""
PLAIN: dict[str, Any] = {
    "template": "none",
    "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 12, "color": "#767c86"},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
"""Layout of every chart: the page's script gives it the page's own colours, light or dark."""


@dataclass(frozen=True, slots=True)
class Key:
    """A line of a chart, as a legend beside it explains it."""

    name: str
    colour: str
    dash: str
    glyph: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart under its title.

    Attributes
    ----------
    title : str
    figure : Figure
    keys : tuple of Key
        One for each of its traces; a legend of the page's own, which has room for any number.
    wide : bool
        Whether it is scrolled rather than squeezed where there is no room for it.
    """

    title: str
    figure: "Figure"
    keys: tuple[Key, ...] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """Charts under one heading.

    Attributes
    ----------
    heading : str
    draw : callable
        Makes the charts of a report's runs; none where they have nothing to show.
    """

    heading: str
    draw: Callable[[Sequence[Summary]], list[Panel]]


def chart_html(figure: "Figure", name: str) -> Markup:
    """A chart for a page that holds plotly itself.

    What it draws is JSON in which plotly writes ``<``, ``>`` and ``/`` as escapes, so that no text
    can end the script.
    """
    from plotly.io import to_html

    config = {"displayModeBar": False, "responsive": True}
    return Markup(to_html(figure, config, include_plotlyjs=False, full_html=False, div_id=name))


def chart_text(text: str) -> str:
    """A text for plotly, which reads tags and would take %{...} for a field to fill in."""
    return escape(text).replace("%{", "%&#123;")


def with_headroom(lows: Sequence[float], highs: Sequence[float], least: float = 0.1) -> list[float]:
    """The ends of an axis that shows all of these with room around them, and spans `least`."""
    low, high = min(lows), max(highs)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2) + 0.01
    return [round(low - margin, 4), round(high + margin, 4)]
