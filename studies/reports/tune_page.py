"""The page of a search: what was gained, the front, how it was reached, and what mattered."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade import __version__
from saccade.studies.reports.charts import (
    GRID,
    PLAIN,
    Key,
    Panel,
    chart_text,
    label_lines,
    shown_panels,
    with_headroom,
)
from saccade.studies.reports.marks import BASELINE, COLOURS
from saccade.studies.reports.pages import render_page, write_page
from saccade.studies.reports.table import TableGroup
from saccade.studies.reports.tune_table import front_table
from saccade.tuning.errors import optuna_module
from saccade.tuning.goal import Goal
from saccade.tuning.result import Tried, all_tried, front, hypervolume

if TYPE_CHECKING:
    from optuna import Study
    from plotly.graph_objects import Figure

SLICES = 6
"""Parameters whose slices are shown: the most important."""
BELOW, NAME = 12, 22
"""Letters that a name below an axis, and a line of one beside it, have at most."""
ENOUGH = 4
"""Trials without which nothing is said about importance."""
ALLOWED, LOST, FRONT, FLOOR = COLOURS[0], BASELINE, COLOURS[2], COLOURS[1]
TRIED = (
    Key("front", FRONT, "solid", ""),
    Key("least score that is allowed", FLOOR, "dot", ""),
    Key("allowed", ALLOWED, "", "●"),
    Key("loses more", LOST, "", "◆"),
)
"""Legend of the chart of all settings, a line of it each."""


def write_tune_page(result: Mapping[str, Any], study: "Study", goal: Goal, path: Path) -> None:
    """Write the page; a `StudyError` if it cannot be written."""
    write_page(tune_html(result, study, goal), path, "page")


def tune_html(result: Mapping[str, Any], study: "Study", goal: Goal) -> str:
    """One page that needs nothing but itself."""
    panels = search_panels(study, goal, SLICES)
    table = front_table(result["front"], "", goal.objective)
    return render_page(
        "tune.html.j2",
        title=result["name"],
        sentence=result["sentence"],
        group=TableGroup("The front, best allowed first", (table,), table.helps()),
        panels=shown_panels(panels, "chart"),
        version=__version__,
    )


def search_panels(study: "Study", goal: Goal, slices: int = 0) -> list[Panel]:
    """Charts of a search: all settings, the area by trial, what mattered, and `slices` of that."""
    tried = all_tried(study, goal)
    weights = importances(study, goal)
    panels = [Panel("Score and cost of every setting", _scatter(tried, goal), TRIED)]
    panels.append(Panel("Area that the settings dominate, by trial", _volume(tried)))
    if weights:
        panels.append(Panel("What mattered to the cost", _bars(weights)))
    for name in list(weights)[:slices]:
        panels.append(Panel(f"Cost by {name}", _slice(study, goal, name)))
    return panels


def importances(study: "Study", goal: Goal) -> dict[str, float]:
    """Importance of parameters for the cost, most first; none of too few trials."""
    optuna = optuna_module()
    complete = optuna.trial.TrialState.COMPLETE
    searched = [t for t in study.get_trials(states=(complete,)) if t.params]
    if len(searched) < ENOUGH:
        return {}
    # Those that are given have no parameters, and would leave none that all trials have.
    own = optuna.create_study(directions=[d.name.lower() for d in study.directions])
    own.add_trials(searched)
    target = (lambda trial: trial.values[-1]) if goal.front else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few trials; the page shows how many there are
            found = optuna.importance.get_param_importances(own, target=target)
    except (ValueError, RuntimeError):  # values that do not vary
        return {}
    return {name: float(value) for name, value in found.items() if value > 0}


def _figure(traces: list[Any], x: str, y: str) -> "Figure":
    from plotly.graph_objects import Figure

    layout = PLAIN | {"height": 300, "margin": {"l": 56, "r": 16, "t": 12, "b": 46}}
    figure = Figure(traces, {**layout, "showlegend": False})
    figure.update_xaxes(title=chart_text(x), gridcolor=GRID, zeroline=False, nticks=8)
    figure.update_yaxes(title=chart_text(y), gridcolor=GRID, zeroline=False, nticks=7)
    return figure


def _scatter(tried: list[Tried], goal: Goal) -> "Figure":
    """Lines and points in the order of `TRIED`."""
    from plotly.graph_objects import Scatter

    best = sorted(front(tried), key=lambda one: one.cost)
    traces = [
        Scatter(
            x=[one.cost for one in best],
            y=[one.score for one in best],
            mode="lines",
            line={"color": FRONT, "shape": "hv"},
            hoverinfo="skip",
        ),
        _floor(tried, goal),
        _settings([one for one in tried if one.feasible], ALLOWED, "circle"),
        _settings([one for one in tried if not one.feasible], LOST, "diamond"),
    ]
    figure = _figure(traces, "cost, relative to the unpruned model", "score")
    scores = [one.score for one in tried] or [0.0, 1.0]
    return figure.update_yaxes(range=with_headroom(scores, scores))


def _floor(tried: list[Tried], goal: Goal) -> Any:
    """The score that a setting must reach, as a line."""
    from plotly.graph_objects import Scatter

    costs, least = [one.cost for one in tried], goal.floor(tried[0].bare) if tried else 0.0
    return Scatter(
        x=[min(costs), max(costs)] if costs else [],
        y=[least, least] if costs else [],
        mode="lines",
        line={"color": FLOOR, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )


def _settings(tried: list[Tried], colour: str, symbol: str) -> Any:
    """A point for each setting, which says what it is."""
    from plotly.graph_objects import Scatter

    return Scatter(
        x=[one.cost for one in tried],
        y=[one.score for one in tried],
        text=[f"trial {one.number}<br>{label_lines(str(one.setting))}" for one in tried],
        hovertemplate="%{text}<br>cost %{x:.3f}, score %{y:.3f}<extra></extra>",
        **_points(colour, symbol),
    )


def _points(colour: str, symbol: str = "circle") -> dict[str, Any]:
    """Points that may lie on each other."""
    line = {"width": 1, "color": "white"}
    marker = {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.8, "line": line}
    return {"mode": "markers", "marker": marker, "cliponaxis": False}


def _volume(tried: list[Tried]) -> "Figure":
    from plotly.graph_objects import Scatter

    line = Scatter(
        x=[one.number for one in tried],
        y=[hypervolume(tried[: i + 1]) for i in range(len(tried))],
        mode="lines",
        line={"shape": "hv", "color": FRONT, "width": 2.5},
        hovertemplate="trial %{x}: %{y:.3f}<extra></extra>",
    )
    return _figure([line], "trial", "share of the area").update_yaxes(rangemode="tozero")


def _bars(weights: Mapping[str, float]) -> "Figure":
    from plotly.graph_objects import Bar

    names = list(weights)[:12][::-1]
    bars = Bar(
        x=[weights[n] for n in names],
        y=[chart_text(n) for n in names],
        orientation="h",
        marker={"color": ALLOWED},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    figure = _figure([bars], "importance", "").update_layout(bargap=0.35)
    return figure.update_yaxes(automargin=True, nticks=None, ticklabelstandoff=6)


def _slice(study: "Study", goal: Goal, name: str) -> "Figure":
    """Cost by one parameter; names that are too long to stand below an axis stand beside one."""
    from plotly.graph_objects import Scatter

    complete = optuna_module().trial.TrialState.COMPLETE
    trials = [t for t in study.get_trials(states=(complete,)) if name in t.params]
    values = [t.params[name] for t in trials]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    shown = values if plain else [label_lines(str(value), NAME) for value in values]
    costs = [t.values[-1] for t in trials]
    beside = not plain and max(len(str(value)) for value in values) > BELOW
    points = Scatter(
        x=costs if beside else shown,
        y=shown if beside else costs,
        text=[
            f"trial {t.number}<br>{label_lines(str(v))}"
            for t, v in zip(trials, values, strict=True)
        ],
        hovertemplate=f"%{{text}}: cost %{{{'x' if beside else 'y'}:.3f}}<extra></extra>",
        **_points(ALLOWED),
    )
    if not beside:
        return _figure([points], name, "cost").update_xaxes(automargin=True)
    figure = _figure([points], "cost", "").update_layout(height=_tall_enough(shown))
    return figure.update_yaxes(automargin=True, nticks=None, ticklabelstandoff=6)


def _tall_enough(names: Sequence[str]) -> int:
    """Pixels of a chart with these names beside it, each in lines."""
    return max(300, 90 + sum(16 * (name.count("<br>") + 2) for name in set(names)))
