"""Charts of the report beside the fronts: figures 1 and 2, and achieved against ideal speed-up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saccade.studies.reports.charts import PLAIN, Key, Panel, chart_text, label_lines
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import BenchFile, Search
from saccade.studies.reports.marks import COLOURS, SYMBOLS
from saccade.studies.reports.paper_figures import CHARTS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Points = list[tuple[str, float, float]]
"""What each is, its ideal and its measured speed-up."""


def paper_panels(runs: Sequence[Run]) -> list[tuple[str, list[Panel], str]]:
    """Heading, charts and what is missing of figures 1 and 2."""
    known = [run.summary for run in runs if run.summary.records]
    lacks = (
        "No run has cases that start to prune at different times.",
        "No run kept what it measured: give a case “probe: all”.",
    )
    return [
        (group.heading, panels, "" if panels else missing)
        for group, missing in zip(CHARTS, lacks, strict=True)
        for panels in [group.draw(known)]
    ]


def achieved_panels(
    runs: Sequence[Run], searches: Sequence[Search], benches: Sequence[BenchFile]
) -> list[Panel]:
    """Measured against ideal speed-up of everything that has both; none where nothing has."""
    groups = [(run.label, _of_run(run)) for run in runs]
    groups.append(("searches", _of_searches(searches)))
    groups += [(str(bench.path), _of_bench(bench)) for bench in benches]
    shown = [(name, points) for name, points in groups if points]
    if not shown:
        return []
    keys = tuple(
        Key(name, COLOURS[i % len(COLOURS)], "", SYMBOLS[i % len(SYMBOLS)][1])
        for i, (name, _) in enumerate(shown)
    )
    return [Panel("Achieved against ideal", _achieved(shown), keys)]


def _of_run(run: Run) -> Points:
    return [
        (f"{row['case']}, {row['task']}", row["speedup_ideal"], row["speedup"])
        for row in run.rows
        if row["speedup_ideal"] is not None and row["speedup"] is not None
    ]


def _of_searches(searches: Sequence[Search]) -> Points:
    rows = [(search.name, row) for search in searches for row in (search.result or {})["front"]]
    return [
        (f"{row['policy']}, {name}", row["test_ideal"], row["measured"])
        for name, row in rows
        if row.get("measured") is not None and row.get("test_ideal") is not None
    ]


def _of_bench(bench: BenchFile) -> Points:
    return [
        (
            str(row.get("case") or f"{row.get('policy')}, {row.get('task')}"),
            row["speedup_ideal"],
            row["speedup"],
        )
        for row in bench.rows
        if row.get("speedup_ideal") and row.get("speedup")
    ]


def _achieved(shown: Sequence[tuple[str, Points]]) -> "Figure":
    from plotly.graph_objects import Figure

    figure = Figure()
    for i, (name, points) in enumerate(shown):
        figure.add_scatter(
            x=[ideal for _, ideal, _ in points],
            y=[measured for _, _, measured in points],
            text=[label_lines(what) for what, _, _ in points],
            name=chart_text(name),
            mode="markers",
            marker={
                "color": COLOURS[i % len(COLOURS)],
                "symbol": SYMBOLS[i % len(SYMBOLS)][0],
                "size": 8,
                "line": {"width": 1, "color": "white"},
            },
            hovertemplate="%{text}<br>ideal %{x:.2f}, measured %{y:.2f}<extra></extra>",
        )
    ends: Any = [own for _, points in shown for _, *pair in points for own in pair]
    line = {"type": "line", "x0": min(ends), "y0": min(ends), "x1": max(ends), "y1": max(ends)}
    figure.add_shape(line | {"line": {"dash": "dot", "width": 1}, "layer": "below"})
    marks = [0.25, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64]
    ticks = {"type": "log", "tickvals": marks, "ticktext": [f"{mark:g}" for mark in marks]}
    figure.update_xaxes(title_text="ideal speed-up", **ticks)
    figure.update_yaxes(title_text="measured speed-up", **ticks)
    figure.update_layout(**PLAIN, height=440, margin={"t": 12, "r": 16, "l": 56, "b": 48})
    figure.update_layout(showlegend=False)
    return figure
