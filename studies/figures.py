"""The paper's figures 1 and 2 from a run's own records: when pruning starts, what signals show."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.studies.records import Record
from saccade.studies.study_config import Case
from saccade.studies.summary import Summary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = ("#2f6db5", "#d0561a", "#1b8a6b", "#8c4bab", "#a87b12", "#c43b62", "#3a93bd", "#7a6a53")
BINS = 32
"""Most steps that a chart of signals shows; more share one."""


def figures_html(summaries: Sequence[Summary]) -> str:
    """Sections for the report: those charts for which the records have something to show."""
    sections = []
    starts = [one for one in summaries if len(set(start_shares(one).values())) > 1]
    if starts:
        sections.append(
            ("Score against when pruning starts", list(map(start_figure, starts)), starts)
        )
    shown = [one for one in summaries if any(record.attention for record in one.records)]
    if shown:
        title = "Attention of the answer, and confidence of its tokens, step by step"
        sections.append((title, list(map(signals_figure, shown)), shown))
    return "".join(_section(*section) for section in sections)


def _section(title: str, figures: Sequence["Figure"], summaries: Sequence[Summary]) -> str:
    from plotly.io import to_html

    config = {"displayModeBar": False, "responsive": True}
    parts = [
        f"<h3>{escape(one.config.model)} ({escape(one.recipe['backbone']['origin'])})</h3>"
        + to_html(figure, config, include_plotlyjs=False, full_html=False)
        for figure, one in zip(figures, summaries, strict=True)
    ]
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def start_shares(summary: Summary) -> dict[str, float]:
    """Share of the steps after which each case drops, of the cases that drop by that."""
    return {
        case.name: float(case.policy.options["share"])
        for case in summary.config.cases
        if case.policy is not None and "share" in case.policy.options
    }


def start_figure(summary: Summary) -> "Figure":
    """Relative score against the share of the steps after which tokens go: figure 1.

    A line a task, or a task and method where there are several.
    """
    from plotly.graph_objects import Figure

    shares, figure = start_shares(summary), Figure()
    named = {case.name: _method(case) for case in summary.config.cases}
    methods = list(dict.fromkeys(named[name] for name in shares))
    rows = [row for row in summary.rows() if row["case"] in shares and row["score"] is not None]
    for i, task in enumerate(dict.fromkeys(row["task"] for row in rows)):
        for j, method in enumerate(methods):
            own = [r for r in rows if r["task"] == task and named[r["case"]] == method]
            own.sort(key=lambda row: shares[row["case"]])
            figure.add_scatter(
                x=[shares[row["case"]] for row in own],
                y=[row["score_relative"] for row in own],
                name=task if len(methods) == 1 else f"{task}, {method}",
                mode="lines+markers",
                line={"color": COLOURS[i % len(COLOURS)], "dash": _dash(j)},
                error_y={"type": "data", "array": [row["score_change_se"] or 0 for row in own]},
            )
    figure.update_xaxes(title_text="pruning starts after this share of the steps", tickformat=".0%")
    figure.update_yaxes(title_text="score, of the unpruned model's", tickformat=".0%")
    figure.update_layout(template="plotly_white", height=420, margin={"t": 20, "r": 20})
    return figure


def _method(case: Case) -> str:
    return case.method or ("" if case.pruner is None else case.pruner.name)


def _dash(number: int) -> str:
    return ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")[number % 6]


def signals_figure(summary: Summary) -> "Figure":
    """Attention to the picture and to the answer per layer and step, and confidence per step, mean
    over the samples: figure 2. One row a task."""
    from plotly.subplots import make_subplots

    tasks = [t for t in summary.config.tasks if _shown(summary.records, t)]
    titles = [
        f"{task}: {what}"
        for task in tasks
        for what in ("to the picture", "to the answer", "confidence")
    ]
    figure = make_subplots(rows=len(tasks), cols=3, subplot_titles=titles, vertical_spacing=0.12)
    for row, task in enumerate(tasks, 1):
        masses, sure = mean_signals(_shown(summary.records, task))
        steps = [(i + 0.5) / len(sure) for i in range(len(sure))]
        for column in (1, 2):
            figure.add_heatmap(
                x=steps,
                z=masses[:, column - 1].T,
                zmin=0,
                zmax=1,
                colorscale="Viridis",
                showscale=row == 1 and column == 2,
                colorbar={"title": "attention", "x": 1.01, "thickness": 10},
                row=row,
                col=column,
            )
            figure.update_yaxes(title_text="layer", row=row, col=column)
        figure.add_scatter(
            x=steps, y=sure, mode="lines+markers", line_color=COLOURS[2], row=row, col=3
        )
        figure.update_yaxes(range=[0, 1.02], row=row, col=3)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_xaxes(title_text="of the steps", row=len(tasks))
    figure.update_layout(
        template="plotly_white", height=260 * len(tasks), showlegend=False, margin={"t": 40}
    )
    return figure


def _shown(records: Sequence[Record], task: str) -> list[Record]:
    return [record for record in records if record.task == task and record.attention]


def mean_signals(records: Sequence[Record]) -> tuple[Any, Any]:
    """Means over answers whose numbers of steps may differ: each is laid over its share of steps.

    Returns
    -------
    masses : array (bins, 2, n_layers)
        Attention mass of the masked rows on visual and on response tokens.
    sure : array (bins,)
        Mean confidence of the masked positions.
    """
    bins = min(BINS, max(len(record.attention) for record in records))
    masses, sure = [], []
    for record in records:
        steps = len(record.attention)
        places = [min(steps - 1, i * steps // bins) for i in range(bins)]
        own = np.array(record.attention, dtype=float)  # None becomes NaN
        masses.append(own[places])
        sure.append(np.array(record.confidences, dtype=float)[places])
    return np.nanmean(masses, axis=0), np.nanmean(sure, axis=0)
