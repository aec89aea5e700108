"""Score against what is saved, with the front, as figures that a tracker draws."""

from collections.abc import Sequence
from typing import Any

from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import Row, Summary
from saccade.studies.reports.charts import chart_text

AXES = {"speedup": "measured speed-up", "speedup_ideal": "ideal speed-up"}


def study_figures(summaries: Sequence[Summary]) -> dict[str, str]:
    """A figure per model, task and kind of speed-up."""
    figures = {}
    for summary in summaries:
        model = f"{summary.config.model}/" if len(summaries) > 1 else ""
        for task in summary.config.tasks:
            rows = [row for row in summary.rows() if row["task"] == task]
            for axis, title in AXES.items() if rows else ():
                figures[f"front/{model}{task}, {title}"] = _figure(rows, axis, title)
    return figures


def _figure(rows: Sequence[Row], axis: str, title: str) -> str:
    known = [row for row in rows if row[axis] is not None and row["score"] is not None]
    points = [(row[axis], row["score"], row["case"]) for row in known]
    front = [(row[axis], row["score"]) for row in pareto_front(rows, axis)]
    return front_figure(points, front, title, "score")


def front_figure(
    points: Sequence[tuple[float, float, str]],
    front: Sequence[tuple[float, float]],
    x: str,
    y: str,
) -> str:
    """A plotly figure as JSON: points with their names, and the line of the front."""
    from plotly.graph_objects import Figure, Scatter

    line = Scatter(
        x=[one[0] for one in front],
        y=[one[1] for one in front],
        mode="lines",
        name="front",
        line={"color": "#8a8f98", "shape": "hv", "dash": "dot"},
    )
    dots = [
        Scatter(
            x=[one[0]], y=[one[1]], mode="markers", name=chart_text(one[2]), marker={"size": 10}
        )
        for one in points
    ]
    layout: dict[str, Any] = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    text: str = Figure([line, *dots], layout).to_json()
    return text
