"""Charts of the report: score against speed-up, one chart per task, and its Pareto front."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import Row
from saccade.studies.reports.table import interval, number

AXES = {
    "speedup": "measured speed-up",
    "speedup_projected": "projected speed-up",
    "speedup_ideal": "ideal speed-up",
}
"""What the horizontal axis can show: column of the summary, and its title."""
MARKS = (
    ("circle", "●"),
    ("diamond", "◆"),
    ("square", "■"),
    ("triangle-up", "▲"),
    ("star", "★"),
    ("triangle-down", "▼"),
    ("cross", "✚"),
    ("x", "✖"),
)
COLOURS = ("#2f6db5", "#d0561a", "#1b8a6b", "#8c4bab", "#a87b12", "#c43b62", "#3a93bd", "#7a6a53")
BASELINE = "#3a3f47"
INK, GRID = "#4a4f57", "#eceae5"


@dataclass(frozen=True, slots=True)
class Style:
    """How a case is drawn: colour, plotly's symbol, and the same symbol as a character."""

    colour: str
    symbol: str
    glyph: str


def case_styles(cases: Sequence[str], baseline: str) -> dict[str, Style]:
    """Give each case a style: the baseline's own, and from the palettes for the rest."""
    others = [case for case in cases if case != baseline]
    styles = {baseline: Style(BASELINE, *MARKS[0])}
    for i, case in enumerate(others):
        again = i // len(COLOURS)  # another mark for a colour that comes back
        styles[case] = Style(COLOURS[i % len(COLOURS)], *MARKS[(i + 1 + again) % len(MARKS)])
    return styles


def axis_ranges(rows: Sequence[Row]) -> dict[str, list[float]]:
    """One range per axis for all charts of a page, so that they can be compared.

    An axis on which no row has a value is left out; measured speed-ups have theirs always.
    """
    ranges = {}
    for axis in AXES:
        values = [row[axis] for row in rows]
        if axis != "speedup" and not any(value is not None for value in values):
            continue
        values.append(1.0)
        if axis == "speedup":
            values += [row[end] for row in rows for end in ("speedup_low", "speedup_high")]
        found = [value for value in values if value is not None]
        margin = 0.08 * (max(found) - min(found)) + 0.03
        ranges[axis] = [round(min(found) - margin, 3), round(max(found) + margin, 3)]
    return ranges


def scatter(
    number: int,
    rows: Sequence[Row],
    styles: dict[str, Style],
    baseline: str,
    ranges: dict[str, list[float]],
) -> str:
    """Chart of one task as HTML without plotly itself; `switch_script` changes its axis.

    Parameters
    ----------
    number : int
        Of the chart on its page.
    rows : sequence of Row
        Of one task.
    """
    from plotly.graph_objects import Figure
    from plotly.io import to_html

    traces = []
    for axis in ranges:
        visible = axis == "speedup"
        points = [_point(row, axis, styles[row["case"]], visible=visible) for row in rows]
        traces += [_front(rows, axis, visible=visible), *points]
    score = next(row["score"] for row in rows if row["case"] == baseline)
    figure = Figure(data=traces, layout=_layout(score, ranges["speedup"]))
    config = {"displayModeBar": False, "responsive": True}
    page: str = to_html(
        figure, config, include_plotlyjs=False, full_html=False, div_id=f"chart-{number}"
    )
    return page


def switch_script(ranges: dict[str, list[float]]) -> str:
    """Script that lets the buttons (``data-axis``) choose the axis of all charts."""
    axes = [{"title": AXES[axis], "range": ends} for axis, ends in ranges.items()]
    return _SWITCH.replace("AXES", json.dumps(axes))


def _point(row: Row, axis: str, style: Style, *, visible: bool) -> dict[str, Any]:
    spread: dict[str, Any] = {"visible": False}
    if axis == "speedup" and row["speedup_low"] is not None:
        above, below = row["speedup_high"] - row["speedup"], row["speedup"] - row["speedup_low"]
        spread = {"type": "data", "array": [above], "arrayminus": [below], **_WHISKERS}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row[axis]],
        "y": [row["score"]],
        "error_x": spread,
        "error_y": {"type": "data", "array": [row["score_se"] or 0.0], **_WHISKERS},
        "marker": {
            "color": style.colour,
            "symbol": style.symbol,
            "size": 11,
            "line": {"width": 1, "color": "white"},
        },
        "hovertemplate": _hover(row) + "<extra></extra>",
        "showlegend": False,
        "visible": visible,
    }


def _front(rows: Sequence[Row], axis: str, *, visible: bool) -> dict[str, Any]:
    """A line through the cases that no other one beats in both."""
    front = pareto_front(rows, axis)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [row[axis] for row in front],
        "y": [row["score"] for row in front],
        "line": {"color": "#9b978e", "width": 1.5, "shape": "vh"},
        "hoverinfo": "skip",
        "showlegend": False,
        "visible": visible,
    }


def _hover(row: Row) -> str:
    lines = (
        f"<b>{escape(row['case'])}</b>",
        f"score {row['score']:.3f} ± {number(row['score_se'], 3)}",
        f"measured {number(row['speedup'], 2)}{interval(row)}",
        f"projected {number(row['speedup_projected'], 2)}",
        f"ideal {number(row['speedup_ideal'], 2)}",
    )
    # Plotly would take %{...} in a name for a field to fill in.
    return "<br>".join(lines).replace("%{", "%&#123;")


def _layout(score: float, x_range: Sequence[float]) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": "#c9c6bf", "ticks": ""}
    dotted = {"type": "line", "line": {"dash": "dot", "width": 1, "color": "#9b978e"}}
    return {
        "template": "none",
        "height": 270,
        "margin": {"l": 48, "r": 12, "t": 8, "b": 44},
        "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"bgcolor": "white", "bordercolor": "#c9c6bf", "align": "left"},
        "xaxis": axis | {"range": list(x_range), "title": {"text": AXES["speedup"]}},
        "yaxis": axis | {"range": [-0.03, 1.06], "title": {"text": "score"}, "dtick": 0.25},
        "shapes": [
            dotted | {"x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "layer": "below"},
            dotted
            | {"xref": "paper", "x0": 0, "x1": 1, "y0": score, "y1": score, "layer": "below"},
        ],
    }


_WHISKERS = {"thickness": 1.2, "width": 3}
_SWITCH = """
const axes = AXES;
const charts = document.querySelectorAll(".chart .plotly-graph-div");
// Each was drawn before those after it, and perhaps a scrollbar, took their share of the row.
const fit = new ResizeObserver(boxes => boxes.forEach(box =>
  Plotly.Plots.resize(box.target.querySelector(".plotly-graph-div"))));
document.querySelectorAll(".chart").forEach(box => fit.observe(box));
const buttons = document.querySelectorAll("[data-axis]");
buttons.forEach(button => button.addEventListener("click", () => {
  const chosen = Number(button.dataset.axis);
  buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
  charts.forEach(chart => {
    const cases = chart.data.length / axes.length;
    const visible = chart.data.map((_, i) => Math.floor(i / cases) === chosen);
    const layout = {"xaxis.range": axes[chosen].range, "xaxis.title.text": axes[chosen].title};
    Plotly.update(chart, {visible}, layout);
  });
}));
"""
