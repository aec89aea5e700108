"""The paper's figures 1 and 2 from a run's own records: when pruning starts, what signals show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.studies.analysis.summary import Row, Summary
from saccade.studies.config.study import Case
from saccade.studies.reports.charts import (
    DASHES,
    PLAIN,
    ChartGroup,
    Key,
    Panel,
    chart_text,
    label_lines,
    with_headroom,
)
from saccade.studies.reports.marks import COLOURS, SYMBOLS
from saccade.studies.reports.results_table import title_of
from saccade.studies.runs.record import Record

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BINS = 32
"""Most steps that a chart of signals shows; more share one."""
TOP, BOTTOM = 40, 50
"""Pixels above and below those charts."""


def start_charts(summaries: Sequence[Summary]) -> list[Panel]:
    """Figure 1 of every model whose cases start at different times."""
    several = [one for one in summaries if len(set(start_shares(one).values())) > 1]
    return [Panel(title_of(one), start_figure(one), start_keys(one)) for one in several]


def signal_charts(summaries: Sequence[Summary]) -> list[Panel]:
    """Figure 2 of every case that kept what it measured."""
    shown = [(one, case) for one in summaries for case in watched_cases(one)]
    several = len(shown) > len(summaries)
    return [
        Panel(
            title_of(one) + (f": {case}" if several else ""), signals_figure(one, case), wide=True
        )
        for one, case in shown
    ]


def start_shares(summary: Summary) -> dict[str, float]:
    """Share of the steps after which each case drops, of the cases that drop by that."""
    return {
        case.name: float(case.policy_call.options["share"])
        for case in summary.config.cases
        if case.policy_call is not None and "share" in case.policy_call.options
    }


@dataclass(frozen=True, slots=True)
class StartLine:
    """A line of figure 1: its rows by when they start, and how it is drawn."""

    key: Key
    symbol: str
    rows: list[Row]


def start_lines(summary: Summary) -> list[StartLine]:
    """A line a task, or a task and method where there are several; cases of one method that differ
    in more than when they start have lines of their own."""
    shares = start_shares(summary)
    named = line_names([case for case in summary.config.cases if case.name in shares])
    methods = list(dict.fromkeys(named.values()))
    rows = [row for row in summary.rows() if row["case"] in shares]
    rows = [row for row in rows if row["score_relative"] is not None]
    rows.sort(key=lambda row: shares[row["case"]])
    lines = []
    for i, task in enumerate(dict.fromkeys(row["task"] for row in summary.rows())):
        for j, method in enumerate(methods):
            own = [r for r in rows if r["task"] == task and named[r["case"]] == method]
            name = task if len(methods) == 1 else f"{task}, {method}"
            dash = list(DASHES)[j % len(DASHES)]
            symbol, glyph = SYMBOLS[j % len(SYMBOLS)]
            key = Key(name, COLOURS[i % len(COLOURS)], dash, glyph)
            lines.append(StartLine(key, symbol, own))
    return [line for line in lines if line.rows]


def start_keys(summary: Summary) -> tuple[Key, ...]:
    """The legend of figure 1."""
    return tuple(line.key for line in start_lines(summary))


def start_figure(summary: Summary) -> "Figure":
    """Relative score against the share of the steps after which tokens go: figure 1."""
    from plotly.graph_objects import Figure

    shares, figure, lines = start_shares(summary), Figure(), start_lines(summary)
    for line in lines:
        figure.add_scatter(
            x=[shares[row["case"]] for row in line.rows],
            y=[row["score_relative"] for row in line.rows],
            name=chart_text(line.key.name),
            mode="lines+markers",
            hovertemplate=f"<b>{label_lines(line.key.name)}</b>"
            "<br>from %{x:.0%} of the steps on: %{y:.1%}<extra></extra>",
            line={"color": line.key.colour, "dash": line.key.dash},
            marker={"symbol": line.symbol, "size": 8},
            error_y={"type": "data", "array": [_relative_se(row) for row in line.rows]},
        )
    figure.update_xaxes(
        title_text="pruning starts after this share of the steps",
        tickformat=".0%",
        range=[-0.03, 1.03],
    )
    figure.update_yaxes(
        title={"text": "score, of the unpruned model's", "standoff": 8},
        tickformat=".0%",
        range=_ends(lines),
        automargin=True,
    )
    figure.update_layout(**PLAIN, height=420, margin={"t": 20, "r": 20, "l": 60, "b": 50})
    figure.update_layout(showlegend=False)
    return figure


def _ends(lines: Sequence[StartLine]) -> list[float]:
    """The ends of the score's axis: all relative scores, with their errors and some room."""
    shown = [(r["score_relative"], _relative_se(r)) for line in lines for r in line.rows]
    return with_headroom([s - e for s, e in shown] or [0], [s + e for s, e in shown] or [1])


def line_names(cases: Sequence[Case]) -> dict[str, str]:
    """What the line of each case is called: its method, and in what else it differs from others of
    that method, but for when it starts."""
    facts = {case.name: _facts(case) for case in cases}
    names = {}
    for case in cases:
        same = [facts[other.name] for other in cases if _method(other) == _method(case)]
        own = facts[case.name]
        varying = [name for name in own if any(o.get(name) != own[name] for o in same)]
        names[case.name] = ", ".join(filter(None, [_method(case), *map(own.get, varying)]))
    return names


def _facts(case: Case) -> dict[str, str]:
    """What makes a case, but for when it starts, in words."""
    options = {} if case.policy_call is None else case.policy_call.options
    facts = {name: f"{name} {value}" for name, value in options.items() if name != "share"}
    if "keep" in options:
        facts["keep"] = f"keep {float(options['keep']):.0%}"
    facts["pruner"] = "" if case.pruner_call is None else case.pruner_call.name
    more = {} if case.pruner_call is None else case.pruner_call.options
    facts["options"] = " ".join(f"{name} {value}" for name, value in more.items())
    facts["settings"] = " ".join(f"{name} {value}" for name, value in case.settings.items())
    return facts | {"positions": case.positions}


def _relative_se(row: Row) -> float:
    """Standard error of the relative score."""
    if not row["score_change_se"] or not row["score"]:
        return 0.0
    return float(row["score_change_se"] * row["score_relative"] / row["score"])


def _method(case: Case) -> str:
    return case.method or ("" if case.pruner_call is None else case.pruner_call.name)


def watched_cases(summary: Summary) -> list[str]:
    """Cases that kept what they measured."""
    kept = {record.case for record in summary.records if _watched(record)}
    return [case.name for case in summary.config.cases if case.name in kept]


def signals_figure(summary: Summary, case: str) -> "Figure":
    """Attention to the picture and to the answer per layer and step, and confidence per step, mean
    over the samples of a case: figure 2. One row a task."""
    from plotly.subplots import make_subplots

    records = [record for record in summary.records if record.case == case]
    tasks = [t for t in summary.config.tasks if _shown(records, t)]
    titles = [
        f"{chart_text(task)}: {what}"
        for task in tasks
        for what in ("to the picture", "to the answer", "confidence")
    ]
    height = 260 * len(tasks)
    gap = 64 / (height - TOP - BOTTOM)
    figure = make_subplots(rows=len(tasks), cols=3, subplot_titles=titles, vertical_spacing=gap)
    for row, task in enumerate(tasks, 1):
        masses, sure = mean_signals(_shown(records, task))
        steps = [(i + 0.5) / len(sure) for i in range(len(sure))]
        for column in (1, 2):
            figure.add_heatmap(
                x=steps,
                z=masses[:, column - 1].T,
                zmin=0,
                zmax=1,
                colorscale="Viridis",
                hovertemplate="layer %{y}, at %{x:.0%}: %{z:.3f}<extra></extra>",
                showscale=row == 1 and column == 2,
                colorbar={"title": "attention", "x": 1.01, "thickness": 10},
                row=row,
                col=column,
            )
            figure.update_yaxes(title_text="layer", row=row, col=column)
        figure.add_scatter(
            x=steps,
            y=sure,
            mode="lines+markers",
            line_color=COLOURS[2],
            hovertemplate="at %{x:.0%}: %{y:.3f}<extra></extra>",
            row=row,
            col=3,
        )
        known = [value for value in sure if value == value] or [0.0, 1.0]  # not NaN
        figure.update_yaxes(range=with_headroom(known, known), row=row, col=3)
    figure.update_annotations(font_size=13)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_xaxes(title_text="of the steps", row=len(tasks))
    figure.update_layout(
        **PLAIN, height=height, showlegend=False, margin={"t": TOP, "l": 50, "b": BOTTOM}
    )
    return figure


def _shown(records: Sequence[Record], task: str) -> list[Record]:
    return [record for record in records if record.task == task and _watched(record)]


def _watched(record: Record) -> bool:
    """Whether attention was measured; a bare model has none for its steps."""
    return any(visual for visual, _ in record.attention)


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


CHARTS = (
    ChartGroup("Score against when pruning starts", start_charts),
    ChartGroup(
        "Attention of the answer, and confidence of its tokens, step by step", signal_charts
    ),
)
"""Groups of charts that a report has where its runs have something to show, in their order."""
