"""The report of a study: one HTML page that needs nothing but itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.studies.analysis.methods import has_methods, methods_of
from saccade.studies.analysis.summary import Summary
from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.case_words import case_texts, what_cases_do
from saccade.studies.reports.charts import Panel, shown_panels
from saccade.studies.reports.marks import Mark, case_marks
from saccade.studies.reports.methods_table import methods_group
from saccade.studies.reports.overview import overview_groups
from saccade.studies.reports.pages import render_page, write_page
from saccade.studies.reports.paper_figures import CHARTS
from saccade.studies.reports.results_table import PAGE, by_task, results_table, title_of
from saccade.studies.reports.speedup_charts import axes, axis_ranges, scatter, score_range
from saccade.studies.reports.table import TableGroup

WAYS = {
    "from-scratch": "a model that denoises its answer in several steps and reads the whole picture "
    "again in each of them",
    "ar-to-diffusion": "a model that denoises its answer in several steps and reads the picture "
    "once, then what it cached of it, unless a case says otherwise",
    "autoregressive": "a model that writes its answer token by token and reads the picture once, "
    "then what it cached of it",
}
"""How models of each origin answer."""


def write_report(summaries: Summary | Sequence[Summary], path: str | Path) -> None:
    """Write the report of a run, or of a study's runs, as one self-contained page.

    Raises
    ------
    StudyError
        If the file cannot be written.
    """
    page = report_html(*([summaries] if isinstance(summaries, Summary) else summaries))
    write_page(page, path, "report")


def report_html(*summaries: Summary) -> str:
    """The page: what was compared, tables, charts and recipe.

    Of several models each has a part of its own, after an overview.
    """
    first, several = summaries[0], len(summaries) > 1
    cases = {case.name: case for one in summaries for case in one.config.cases}
    marks = case_marks(list(cases), first.config.baseline)
    ranges = axis_ranges([row for one in summaries for row in one.rows()])
    recipes = [one.recipe for one in summaries]
    return render_page(
        "report.html.j2",
        title=first.config.name,
        lead=_lead_of_many(summaries) if several else _lead(first),
        banners=[_unfinished(one, several) for one in summaries if not one.finished],
        overview=_overview(summaries),
        figures=_figures(summaries),
        marks=marks,
        axes=axes(ranges),
        scatters=_scatters(summaries, marks, ranges),
        results=_results(summaries, marks),
        cases=case_texts(cases.values()),
        recipe=json.dumps(recipes if several else recipes[0], indent=2, ensure_ascii=False),
        version=first.recipe["versions"]["saccade"],
    )


def _overview(summaries: Sequence[Summary]) -> list[TableGroup]:
    """Tables of methods, and of all models side by side if there are several."""
    several = len(summaries) > 1
    methods = [
        methods_group(methods_of(one), title_of(one) if several else "")
        for one in summaries
        if has_methods(one)
    ]
    return methods + (overview_groups(summaries) if several else [])


def _results(summaries: Sequence[Summary], marks: Mapping[str, Mark]) -> TableGroup:
    """The table of each model."""
    tables = tuple(results_table(one, PAGE, marks) for one in summaries)
    return TableGroup("Results", tables, tables[0].helps())


def _figures(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Charts of the groups that have something to show."""
    found = []
    for i, group in enumerate(CHARTS):
        if panels := group.draw(summaries):
            found.append({"heading": group.heading, "panels": shown_panels(panels, f"figure-{i}")})
    return found


def _scatters(
    summaries: Sequence[Summary], marks: Mapping[str, Mark], ranges: Mapping[str, list[float]]
) -> list[dict[str, Any]]:
    """Charts of score against speed-up of every task, model by model."""
    found, tables = [], [by_task(one) for one in summaries]
    together = {
        task: [row for table in tables for row in table.get(task, [])]
        for task in dict.fromkeys(task for table in tables for task in table)
    }
    scores = {task: score_range(rows) for task, rows in together.items()}
    for i, (one, table) in enumerate(zip(summaries, tables, strict=True)):
        panels = [
            Panel(task, scatter(rows, marks, one.config.baseline, ranges, scores[task]))
            for task, rows in table.items()
        ]
        found.append({"heading": title_of(one), "panels": shown_panels(panels, f"chart-{i}")})
    return found


def _lead_of_many(summaries: Sequence[Summary]) -> str:
    """What several models did."""
    config = summaries[0].config
    names = ", ".join(
        f"{one.config.model} ({one.recipe['backbone']['origin']})" for one in summaries
    )
    return (
        f"{len(summaries)} models answered the same {_samples(config)} of each task: {names}. "
        f"{_deeds(summaries)}Each case is compared with the baseline “{config.baseline}” of the "
        "same model, which drops no visual tokens. Times were measured on "
        f"{_machine(summaries[0])}."
    )


def _lead(summary: Summary) -> str:
    """What one model did."""
    config, backbone = summary.config, summary.recipe["backbone"]
    return (
        f"{len(config.cases)} cases answered the same {_samples(config)} of each task with "
        f"{backbone['name']} ({backbone['origin']}), {WAYS[backbone['origin']]}. "
        f"{_deeds([summary])}The baseline, “{config.baseline}”, drops nothing. The figures say "
        f"what the others cost in score and gain in time, measured on {_machine(summary)}."
    )


def _deeds(summaries: Sequence[Summary]) -> str:
    """What the cases of all models do."""
    cases = {case.name: case for one in summaries for case in one.config.cases}
    said = what_cases_do(cases.values(), summaries[0].config.baseline)
    return said[:1].upper() + said[1:]


def _unfinished(summary: Summary, several: bool) -> str:
    who = summary.config.model if several else "This run"
    return f"{who} is unfinished: {summary.done} of {summary.total} units are in."


def _samples(config: StudyConfig) -> str:
    if not config.seeds:
        return f"{config.samples} samples"
    return f"{config.samples * len(config.seeds)} samples ({config.samples} a seed)"


def _machine(summary: Summary) -> str:
    hardware = summary.recipe["hardware"]
    threads = hardware["threads"]
    where = hardware["gpu"] or hardware["cpu"]
    return f"{where} with {threads} thread{'s' if threads > 1 else ''}"
