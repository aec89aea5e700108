"""The report's page: everything that was read, in one file that needs nothing but itself."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from saccade import __version__
from saccade.studies.analysis.summary import COLUMNS, Summary
from saccade.studies.reports.bench_tables import policy_table, pruners_table, signals_table
from saccade.studies.reports.charts import shown_panels
from saccade.studies.reports.compare.banners import banners
from saccade.studies.reports.compare.figures import achieved_panels, paper_panels
from saccade.studies.reports.compare.front import MORE, front_data, fronts_in_order
from saccade.studies.reports.compare.kinds import (
    CONTROL_HELP,
    KINDS,
    MEANINGS,
    controls_table,
)
from saccade.studies.reports.compare.lead import MAX_DROP, lead_parts
from saccade.studies.reports.compare.pairs_table import pairs_table
from saccade.studies.reports.compare.provenance import provenance_table
from saccade.studies.reports.compare.runs import Run, make_runs
from saccade.studies.reports.compare.searching import presets_table, told_searches
from saccade.studies.reports.compare.sources import BenchFile, Sources
from saccade.studies.reports.compare.tables import (
    CANVAS,
    methods,
    results,
    retention,
    with_column,
)
from saccade.studies.reports.formats import percent
from saccade.studies.reports.pages import render_page, write_page
from saccade.studies.reports.table import Cell, Table, TableGroup
from saccade.studies.reports.tune_table import HELP

Samples = Callable[..., str]
"""Makes a section of samples, as safe HTML: ``(summaries, n, baseline, progress=None)``."""
Progress = Callable[[int, int, str], None]


def write_comparison(
    sources: Sources,
    path: str | Path,
    *,
    baseline: str | None = None,
    n_samples: int = 0,
    samples: Samples | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> None:
    """Write the page.

    Parameters
    ----------
    sources : Sources
    path : path
    baseline : str, optional
        Name of the case that all are paired with, instead of each study's own.
    n_samples : int
        Samples that are shown side by side.
    samples : callable, optional
        Makes their section; None: there is none.
    command : str
        What makes the page, as it is told there.
    progress : callable, optional
        Given to `samples`.

    Raises
    ------
    StudyError
        If no run has the baseline, or the file cannot be written.
    """
    page = comparison_html(
        sources,
        baseline=baseline,
        n_samples=n_samples,
        samples=samples,
        command=command,
        progress=progress,
    )
    write_page(page, path, "report")


def comparison_html(
    sources: Sources,
    *,
    baseline: str | None = None,
    n_samples: int = 0,
    samples: Samples | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> str:
    """The page; parameters and errors are those of `write_comparison`."""
    runs = make_runs(sources.runs, baseline)
    section = ""
    if samples is not None and n_samples and runs:
        section = samples(sources.summaries, n_samples, baseline, progress=progress)
    return render_page(
        "compare.html.j2",
        title=page_title(runs, sources),
        lead=lead_parts(runs, sources),
        rule=f"Best is the fastest that keeps at least {percent(1 - MAX_DROP)} of the unpruned "
        "score, mean over the tasks of a class. It is chosen on the same samples that its figures "
        "are of, which flatters it a little where many settings were tried.",
        banners=banners(runs, sources, baseline),
        samples=Markup(section),
        front=front_data(runs, sources.searches),
        fronts=fronts_in_order(runs, sources),
        kinds=[(name, mark, MEANINGS[name]) for name, mark in KINDS.items()],
        pairs=_pairs(runs),
        results=_results(runs),
        methods=methods(runs),
        retention=[retention(run) for run in runs if run.rows],
        figures=_figures(runs),
        achieved=shown_panels(achieved_panels(runs, sources.searches, sources.benches), "ideal"),
        searches=_searches(sources),
        presets=presets_table(sources),
        tune_help=HELP,
        benches=[(str(own.path), _bench_table(own)) for own in sources.benches],
        controls=TableGroup("", (controls_table(runs),), CONTROL_HELP) if runs else None,
        provenance=provenance_table(runs, sources),
        recipes=[(run.label, _json(run.summary)) for run in runs],
        command=command,
        version=__version__,
        copies=copies,
        shared_copies=shared_copies,
    )


def copies(table: Table) -> dict[str, Any]:
    """The plain values of a table for the page's script.

    ``keys``, and values row by row; ``order`` says by which key each column is sorted, -1: by what
    it shows.
    """
    rows = table.rows()
    keys = list(dict.fromkeys(key for row in rows for key in row))
    firsts = [table.names, *(_first_key(table, i) for i in range(len(table.columns)))]
    return {
        "keys": keys,
        "rows": [[_finite(row.get(key)) for key in keys] for row in rows],
        "order": [keys.index(key) if key in keys else -1 for key in firsts],
    }


def shared_copies(table: Table, group: int) -> dict[str, Any]:
    """The same of a table of results, whose values are those of a group of the front's data.

    Rows of both have the same order; the page holds them once.
    """
    columns = [*COLUMNS, *MORE]
    firsts = ["case", *(_first_key(table, i) for i in range(len(table.columns)))]
    return {
        "from": group,
        "order": [columns.index(key) if key in columns else -1 for key in firsts],
    }


def _first_key(table: Table, column: int) -> str | None:
    return next((key for line in table.lines for key in line.cells[column].values), None)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page_title(runs: Sequence[Run], sources: Sources) -> str:
    """What the page is about: a few names, or how many studies."""
    names = list(dict.fromkeys(run.summary.config.name for run in runs))
    names = names if len(names) <= 4 else [f"{len(names)} studies"]
    names += ["searches"] if sources.searches else []
    names += ["presets"] if sources.presets else []
    names += ["benches"] if sources.benches else []
    return ", ".join(names)


def _pairs(runs: Sequence[Run]) -> TableGroup | None:
    tables = tuple(pairs_table(run) for run in runs if run.pairs.rows)
    return TableGroup("Paired differences", tables, tables[0].helps()) if tables else None


def _results(runs: Sequence[Run]) -> TableGroup | None:
    tables = tuple(replace(results(run), title=run.label) for run in runs if run.rows)
    return TableGroup("Results", tables, tables[0].helps()) if tables else None


def _figures(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [
        {"heading": heading, "panels": shown_panels(panels, f"figure-{i}"), "missing": missing}
        for i, (heading, panels, missing) in enumerate(paper_panels(runs))
    ]


def _searches(sources: Sources) -> list[dict[str, Any]]:
    return [
        {"told": told, "panels": shown_panels(told.panels, f"search-{i}")}
        for i, told in enumerate(told_searches(sources.searches))
    ]


def _bench_table(bench: BenchFile) -> Table:
    first = bench.rows[0]
    if "measured" in first and "share" in first:
        return signals_table(bench.rows)
    if "case" in first:
        return _with_canvas(pruners_table(bench.rows), first)
    tables = [_with_canvas(policy_table(row), row) for row in bench.rows]
    sections = tuple(
        replace(section, title=table.title) for table in tables for section in table.sections
    )
    return replace(tables[0], title="", sections=sections, by="policy")


def _with_canvas(table: Table, row: Mapping[str, Any]) -> Table:
    """A bench's table with the canvas that it says in its sizes or settings."""
    told = row.get("sizes") or row.get("settings")
    length = told.get("gen_length") if isinstance(told, Mapping) else None
    cell = Cell("-" if length is None else str(length), values={"gen_length": length})
    return with_column(table, CANVAS, lambda _, __: cell)


def _json(summary: Summary) -> str:
    return json.dumps(summary.recipe, indent=1, ensure_ascii=False)
