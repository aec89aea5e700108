"""Score against speed-up: one chart a task, with its Pareto front."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import Row
from saccade.studies.reports.formats import interval, number, plus_minus
from saccade.studies.reports.marks import Mark

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = {
    "speedup": "measured speed-up",
    "speedup_projected": "projected speed-up",
    "speedup_ideal": "ideal speed-up",
}
"""What the horizontal axis can show: column of the summary, and its title."""
INK, GRID = "#4a4f57", "#eceae5"


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
    rows: Sequence[Row],
    marks: Mapping[str, Mark],
    baseline: str,
    ranges: Mapping[str, Sequence[float]],
) -> "Figure":
    """Chart of one task's rows, with traces for every axis; those of the first are visible.

    The page's script lets people choose another one (`axes`).
    """
    from plotly.graph_objects import Figure

    traces = []
    for axis in ranges:
        visible = axis == "speedup"
        points = [_point(row, axis, marks[row["case"]], visible=visible) for row in rows]
        traces += [_front(rows, axis, visible=visible), *points]
    score = next(row["score"] for row in rows if row["case"] == baseline)
    return Figure(data=traces, layout=_layout(score, ranges["speedup"]))


def axes(ranges: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """What the page's script needs to know of each axis: name of its button, title, range."""
    return [
        {
            "name": AXES[axis].removesuffix(" speed-up").capitalize(),
            "title": AXES[axis],
            "range": list(ends),
        }
        for axis, ends in ranges.items()
    ]


def _point(row: Row, axis: str, mark: Mark, *, visible: bool) -> dict[str, Any]:
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
            "color": mark.colour,
            "symbol": mark.symbol,
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
        f"score {row['score']:.3f} {plus_minus(row['score_se'], 3)}",
        f"measured {number(row['speedup'], 2)} {interval(row['speedup_low'], row['speedup_high'])}",
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
