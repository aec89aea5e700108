"""Score against speed-up: one chart a task, with its Pareto front."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import Row
from saccade.studies.reports.charts import GRID, PLAIN, label_lines, with_headroom
from saccade.studies.reports.formats import interval, number, plus_minus
from saccade.studies.reports.marks import Mark
from saccade.studies.reports.overlaps import Place, piles, sizes

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = {
    "speedup": "measured speed-up",
    "speedup_projected": "projected speed-up",
    "speedup_ideal": "ideal speed-up",
}
"""What the horizontal axis can show: column of the summary, and its title."""
CLOSE = 0.02
"""Points that are nearer than this share of both axes lie on each other."""
NAMED = 12
"""Cases of a pile of points that are named where one points at it."""


def axis_ranges(rows: Sequence[Row]) -> dict[str, list[float]]:
    """One range per axis for all charts of a page, so that they can be compared: of logarithms to
    base 10, as speed-ups are ratios.

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
        found = [math.log10(value) for value in values if value is not None]
        ranges[axis] = with_headroom(found, found, 0.05)
    return ranges


def score_range(rows: Sequence[Row]) -> list[float]:
    """The ends of the score's axis: all scores of a task, with their errors and some room."""
    errors = [row["score_se"] or 0.0 for row in rows]
    scores = [(row["score"], error) for row, error in zip(rows, errors, strict=True)]
    return with_headroom([s - e for s, e in scores], [s + e for s, e in scores])


def scatter(
    rows: Sequence[Row],
    marks: Mapping[str, Mark],
    baseline: str,
    ranges: Mapping[str, Sequence[float]],
    scores: Sequence[float],
) -> "Figure":
    """Chart of one task's rows, with traces for every axis; those of the first are visible.

    The page's script lets people choose another one (`axes`). Points that lie on each other are
    drawn where they are, one inside the other, and each names all of them.
    """
    from plotly.graph_objects import Figure

    traces = []
    for axis in ranges:
        visible = axis == "speedup"
        traces.append(_front(rows, axis, visible=visible))
        for row, size, hover in _stacked(rows, axis, ranges[axis], scores):
            traces.append(_point(row, axis, marks[row["case"]], size, hover, visible=visible))
    score = next(row["score"] for row in rows if row["case"] == baseline)
    return Figure(data=traces, layout=_layout(score, ranges["speedup"], scores))


def _stacked(
    rows: Sequence[Row], axis: str, across: Sequence[float], up: Sequence[float]
) -> list[tuple[Row, float, str]]:
    """Each row with the size of its point, and what is said of it and of those at its place."""
    places: list[Place | None] = [
        None if row[axis] is None else (math.log10(row[axis]), row["score"]) for row in rows
    ]
    near = (CLOSE * (across[1] - across[0]), CLOSE * (up[1] - up[0]))
    found: dict[int, tuple[Row, float, str]] = {}
    for pile in piles(places, near):
        own = [rows[i] for i in pile]
        for i, size in zip(pile, sizes(len(pile)), strict=True):
            found[i] = (rows[i], size, _hover(own))
    return [found[i] for i in range(len(rows))]


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


def _point(
    row: Row, axis: str, mark: Mark, size: float, hover: str, *, visible: bool
) -> dict[str, Any]:
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
            "size": size,
            "line": {"width": 1, "color": "white"},
        },
        "cliponaxis": False,
        "hovertemplate": hover + "<extra></extra>",
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
        "line": {"color": "#8a8f98", "width": 1.5, "shape": "vh"},
        "hoverinfo": "skip",
        "showlegend": False,
        "visible": visible,
    }


def _hover(rows: Sequence[Row]) -> str:
    """What is said of the cases at one place."""
    said = [_figures(row, alone=len(rows) == 1) for row in rows[:NAMED]]
    more = len(rows) - NAMED
    return "<br>".join([*said, *([f"and {more} more"] if more > 0 else [])])


def _figures(row: Row, *, alone: bool) -> str:
    """What is said of one of them: a line for each figure of one that lies alone."""
    score = f"score {row['score']:.3f} {plus_minus(row['score_se'], 3)}".strip()
    measured = f"measured {number(row['speedup'], 2)}"
    projected = f"projected {number(row['speedup_projected'], 2)}"
    ideal = f"ideal {number(row['speedup_ideal'], 2)}"
    steps = f"{number(row['steps'], 1)} steps"
    if alone:
        spread = interval(row["speedup_low"], row["speedup_high"])
        lines = [score, f"{measured} {spread}".strip(), projected, ideal, steps]
    else:
        lines = [f"{score}, {measured}", f"{projected}, {ideal}, {steps}"]
    return "<br>".join([f"<b>{label_lines(row['case'])}</b>", *lines])


def _layout(score: float, x_range: Sequence[float], y_range: Sequence[float]) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "ticks": ""}
    dotted = {"type": "line", "line": {"dash": "dot", "width": 1, "color": GRID}}
    return {
        **PLAIN,
        "height": 270,
        "margin": {"l": 52, "r": 12, "t": 8, "b": 44},
        "xaxis": axis | _TICKS | {"range": list(x_range), "title": {"text": AXES["speedup"]}},
        "yaxis": axis | {"range": list(y_range), "title": {"text": "score"}, "nticks": 6},
        "shapes": [
            dotted | {"x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "layer": "below"},
            dotted
            | {"xref": "paper", "x0": 0, "x1": 1, "y0": score, "y1": score, "layer": "below"},
        ],
    }


_MARKED = (0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
_TICKS = {"type": "log", "tickvals": _MARKED, "ticktext": [f"{mark:g}" for mark in _MARKED]}
_WHISKERS = {"thickness": 1.2, "width": 3}
