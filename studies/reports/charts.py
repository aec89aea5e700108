"""Charts as a page shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape, unescape
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from saccade.studies.analysis.summary import Summary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LABEL = 42
"""Letters that a line of a point's label has at most, for narrow windows."""
DASHES = {"solid": "", "dash": "7 5", "dot": "2 4", "dashdot": "7 4 2 4", "longdash": "11 5"}
"""Plotly's names of dashes, and the same in SVG."""
GRID = "#8a8f98"
"""Lines behind a chart until the page's script has given them the page's colour."""
PLAIN: dict[str, Any] = {
    "template": "none",
    "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 12, "color": "#767c86"},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "hoverlabel": {"align": "left", "namelength": -1, "font": {"size": 12}},
}
"""Layout of every chart: the page's script gives it the page's own colours, light or dark."""


@dataclass(frozen=True, slots=True)
class Key:
    """A line of a chart, as a legend beside it explains it; points alone have no dash."""

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


def chart_html(figure: "Figure", name: str, title: str = "") -> Markup:
    """A chart for a page that holds plotly itself and the script `charts.js`, which draws it.

    It can be reached by keyboard, and is called by its `title` and what its axes show. What it
    draws is JSON in which plotly writes ``<``, ``>`` and ``/`` as escapes, so that no text can end
    the script.
    """
    drawn: str | None = figure.to_json()
    height = figure.layout.height
    return Markup(
        '<div class="plot" tabindex="0" role="group" aria-roledescription="chart" '
        'aria-label="{}"><div style="height:{}"><div id="{}" class="plotly-graph-div" '
        'style="height:100%"></div><script type="application/json" data-figure="{}">{}</script>'
        "</div></div>"
    ).format(
        _label(figure, title),
        "100%" if height is None else f"{height}px",
        name,
        name,
        Markup(drawn),
    )


def _label(figure: "Figure", title: str) -> str:
    """What a chart is, for those who cannot see it."""
    across, up = (unescape(a.title.text or "") for a in (figure.layout.xaxis, figure.layout.yaxis))
    shows = f"{up} against {across}" if across and up else across or up
    return (
        ": ".join(filter(None, [title or "Chart", shows])) + ". Arrow keys go through its points."
    )


def chart_text(text: str) -> str:
    """A text for plotly, which reads tags and would take %{...} for a field to fill in."""
    return escape(text).replace("%{", "%&#123;")


def shown_panels(panels: Sequence[Panel], name: str) -> list[dict[str, Any]]:
    """What templates show of panels whose charts are called by this name and their number."""
    return [
        {
            "title": panel.title,
            "name": f"{name}-{i}",
            "chart": chart_html(panel.figure, f"{name}-{i}", panel.title),
            "keys": [(key, DASHES.get(key.dash)) for key in panel.keys],
            "wide": panel.wide,
        }
        for i, panel in enumerate(panels)
    ]


def label_lines(text: str, width: int = LABEL) -> str:
    """A text for the label of a point, in lines that a phone has room for."""
    return "<br>".join(map(chart_text, wrap(text, width)))


def with_headroom(lows: Sequence[float], highs: Sequence[float], least: float = 0.1) -> list[float]:
    """The ends of an axis that shows all of these with room around them, and spans `least`."""
    low, high = min(lows), max(highs)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2) + 0.01
    return [round(low - margin, 4), round(high + margin, 4)]
