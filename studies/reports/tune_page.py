"""The page of a search: what was gained, the front, how it was reached, and what mattered."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from saccade import __version__
from saccade.studies.reports.charts import PLAIN, Panel, chart_html, chart_text
from saccade.studies.reports.pages import render_page, write_page
from saccade.studies.reports.table import TableGroup
from saccade.studies.reports.tune_table import HELP, front_table
from saccade.tuning.errors import optuna_module
from saccade.tuning.goal import Goal
from saccade.tuning.result import Tried, all_tried, front, hypervolume

if TYPE_CHECKING:
    from optuna import Study
    from plotly.graph_objects import Figure

SLICES = 6
"""Parameters whose slices are shown: the most important."""
ENOUGH = 4
"""Trials without which nothing is said about importance."""


def write_tune_page(result: Mapping[str, Any], study: "Study", goal: Goal, path: Path) -> None:
    """Write the page; a `StudyError` if it cannot be written."""
    write_page(tune_html(result, study, goal), path, "page")


def tune_html(result: Mapping[str, Any], study: "Study", goal: Goal) -> str:
    """One page that needs nothing but itself."""
    from plotly.offline import get_plotlyjs

    panels = search_panels(study, goal, SLICES)
    table = front_table(result["front"], "", goal.objective)
    return render_page(
        "tune.html.j2",
        title=f"Search: {result['name']}",
        sentence=result["sentence"],
        group=TableGroup("The front, best allowed first", (table,), HELP),
        charts=[
            {"title": own.title, "chart": chart_html(own.figure, f"chart-{i}")}
            for i, own in enumerate(panels)
        ],
        version=__version__,
        plotly=Markup(get_plotlyjs()),
    )


def search_panels(study: "Study", goal: Goal, slices: int = 0) -> list[Panel]:
    """Charts of a search: all settings, the area by trial, what mattered, and `slices` of that."""
    tried = all_tried(study, goal)
    weights = importances(study, goal)
    panels = [Panel("Score and cost of every setting", _scatter(tried, goal))]
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

    layout = PLAIN | {"height": 320, "margin": {"l": 60, "r": 20, "t": 10, "b": 50}}
    figure = Figure(traces, {**layout, "showlegend": False})
    figure.update_xaxes(title=chart_text(x))
    figure.update_yaxes(title=chart_text(y))
    return figure


def _scatter(tried: list[Tried], goal: Goal) -> "Figure":
    from plotly.graph_objects import Scatter

    best = sorted(front(tried), key=lambda one: one.cost)
    dots = Scatter(
        x=[one.cost for one in tried],
        y=[one.score for one in tried],
        mode="markers",
        marker={"color": ["#2a78d6" if one.feasible else "#b0b4ba" for one in tried]},
        text=[chart_text(str(one.setting)) for one in tried],
    )
    line = Scatter(x=[one.cost for one in best], y=[one.score for one in best], mode="lines")
    figure = _figure([line, dots], "cost, relative to the unpruned model", "score")
    if tried:
        figure.add_hline(y=goal.floor(tried[0].bare), line_dash="dot")
    return figure


def _volume(tried: list[Tried]) -> "Figure":
    from plotly.graph_objects import Scatter

    areas = [hypervolume(tried[: i + 1]) for i in range(len(tried))]
    line = Scatter(x=[one.number for one in tried], y=areas, mode="lines", line_shape="hv")
    return _figure([line], "trial", "share of the area")


def _bars(weights: Mapping[str, float]) -> "Figure":
    from plotly.graph_objects import Bar

    names = list(weights)[:12][::-1]
    bars = Bar(x=[weights[n] for n in names], y=[chart_text(n) for n in names], orientation="h")
    return _figure([bars], "importance", "").update_layout(margin_l=200)


def _slice(study: "Study", goal: Goal, name: str) -> "Figure":
    from plotly.graph_objects import Scatter

    complete = optuna_module().trial.TrialState.COMPLETE
    trials = [t for t in study.get_trials(states=(complete,)) if name in t.params]
    values = [t.params[name] for t in trials]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        values = [chart_text(str(value)) for value in values]
    costs = [t.values[-1] for t in trials]
    return _figure([Scatter(x=values, y=costs, mode="markers")], name, "cost")
