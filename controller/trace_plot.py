"""A trace as a chart; plotly is loaded when one is drawn.

It has no ground of its own, and colours that can be told from a light page and from a dark one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saccade.controller.step_record import StepRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEXT, BLUE, RED, OCHRE, GREEN = "#767c86", "#2f77c4", "#d0561a", "#a87b12", "#1b8a6b"
"""Each three to one or better against white and against a dark page."""
GRID, CLEAR = "rgba(128,128,128,.3)", "rgba(0,0,0,0)"


def plot_steps(records: Sequence[StepRecord], n_visual: int) -> "Figure":
    """Three charts over the steps of a trace; see `Trace.plot`."""
    from plotly.subplots import make_subplots

    titles = (
        "visual tokens at the last layer, and work",
        "attention of masked rows, mean of layers",
        "confidence of masked positions",
    )
    figure = make_subplots(rows=3, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.09)
    steps = [step.state.step + 1 for step in records]
    full = max((step.macs for step in records), default=1)
    kept = [len(step.kept) / max(n_visual, 1) for step in records]
    figure.add_bar(
        x=steps, y=kept, name="visual tokens", marker_color=BLUE, opacity=0.45, row=1, col=1
    )
    lines: list[tuple[int, str, str, list[Any]]] = [
        (1, "work, of the largest step", TEXT, [step.macs / full for step in records]),
        (2, "to the picture", BLUE, [step.signals.visual_mass for step in records]),
        (2, "to the answer", OCHRE, [step.signals.response_mass for step in records]),
        (3, "mean", GREEN, [step.signals.mean_confidence for step in records]),
        (3, "least", RED, [step.signals.min_confidence for step in records]),
    ]
    for row, name, colour, values in lines:
        figure.add_scatter(
            x=steps, y=values, name=name, mode="lines+markers", line_color=colour, row=row, col=1
        )
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    figure.update_xaxes(title_text="step", row=3, col=1)
    figure.update_annotations(font_size=14)  # titles that a phone has room for
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID)
    figure.update_layout(
        template="none",
        font_color=TEXT,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        modebar={"bgcolor": CLEAR, "color": TEXT, "activecolor": BLUE},
        height=720,
        margin={"t": 60, "r": 20},
        legend={"orientation": "h", "y": -0.1, "yanchor": "top"},
    )
    return figure
