"""From the results of a study to runs: one a case, and one about all cases of the study."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from saccade.studies.analysis.summary import COLUMNS, Row, Summary
from saccade.studies.config.study import Case
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.recipe_files import FREE
from saccade.studies.runs.record import Record
from saccade.studies.tracking.sample_table import Masks, SampleTables
from saccade.studies.tracking.scatter import study_figures
from saccade.studies.tracking.sink import Cell, Grid, Series, TrackedRun
from saccade.studies.tracking.step_signals import task_series
from saccade.studies.tracking.study_files import (
    case_records,
    presets_of,
    slug,
    study_results,
)

WORDS = ("case", "backbone", "origin", "task")
"""Columns that say which row it is."""


def study_runs(
    summaries: Sequence[Summary],
    masks: Masks | None = None,
    samples: int = 12,
    beside: Path | None = None,
) -> Iterator[TrackedRun]:
    """Runs of one or several studies, each of one or several models.

    Parameters
    ----------
    summaries : sequence of Summary
        Finished or not: series of a task come when all of its units are there.
    masks : callable, optional
        Which visual tokens an answer kept, where somebody knows: records do not.
    samples : int
        Answers of every case and task that are shown with their picture.
    beside : Path, optional
        Folder of the study's file, from which presets are looked for.
    """
    known = sorted((one for one in summaries if one.done), key=_study_key)
    for _, group in groupby(known, key=_study_key):
        together = list(group)
        for summary in together:
            tables = SampleTables(summary, samples, masks)
            for case in summary.config.cases:
                if any(row["case"] == case.name for row in summary.rows()):
                    yield _case_run(summary, case, tables, beside, several=len(together) > 1)
        yield _overview(together)


def _study_key(summary: Summary) -> str:
    """What the models of one study share."""
    own = summary.config
    parts = [own.name, own.samples, own.batch, own.every_seed, own.tasks, own.baseline, own.split]
    return json.dumps(parts)


def _which(summary: Summary) -> list[Any]:
    """What tells a run from others: those of the same recipe in other folders, too.

    Of a run from before folders had an id, the time that it measured first is told instead.
    """
    return [_bound(summary.recipe), summary.identity or summary.records[0].seconds]


def run_id(kind: str, *parts: Any) -> str:
    """An id that the same parts give again."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _bound(recipe: Recipe) -> Recipe:
    """A recipe without what the same run may have otherwise when it goes on."""
    return {name: value for name, value in recipe.items() if name not in FREE}


def _case_run(
    summary: Summary, case: Case, tables: SampleTables, beside: Path | None, *, several: bool
) -> TrackedRun:
    config = summary.config
    rows = [row for row in summary.rows() if row["case"] == case.name]
    records = [record for record in summary.records if record.case == case.name]
    return TrackedRun(
        id=run_id("case", *_which(summary), case.name),
        name=f"{case.name}, {config.model}" if several else case.name,
        group=config.name,
        kind="case",
        config=_config(summary, case),
        summary=dict(_figures(rows)),
        series=dict(_series(summary, records)),
        tables={f"samples/{task}": grid for task, grid in tables.of_case(case).items()},
        uses=presets_of(case, config.model_copy(update={"folder": beside})),
        makes={f"{slug(summary)}-{case.name}-records": case_records(summary, records)},
    )


def _config(summary: Summary, case: Case) -> Mapping[str, Any]:
    """The recipe of a run, and what the case alone is."""
    own = summary.config
    return {
        "study": own.name,
        "case": case.name,
        "model": own.model,
        "baseline": own.baseline,
        "policy": case.policy or "none",
        "pruner": case.pruner or "none",
        "preset": case.preset or "none",
        "samples": own.samples,
        "batch": own.batch,
        "recipe": summary.recipe,
    }


def _figures(rows: Sequence[Row]) -> Iterator[tuple[str, Cell]]:
    """Achieved figures by task, just those of ``saccade study show --json``."""
    for row in rows:
        for column in COLUMNS:
            value = row[column]
            if column not in WORDS and value is not None and math.isfinite(value):
                yield f"{row['task']}/{column}", value


def _series(summary: Summary, records: Sequence[Record]) -> Iterator[tuple[str, Series]]:
    """Per-step signals of the tasks that are answered in full."""
    own = summary.config
    for task in own.tasks:
        found = [record for record in records if record.task == task]
        if len(found) == own.samples * len(own.every_seed):
            yield task, task_series(task, found)


def _overview(summaries: Sequence[Summary]) -> TrackedRun:
    """All cases of a study beside each other."""
    first = summaries[0]
    rows = [row for summary in summaries for row in summary.rows()]
    grid = Grid(COLUMNS, tuple(tuple(row[name] for name in COLUMNS) for row in rows))
    done, total = (sum(getattr(s, n) for s in summaries) for n in ("done", "total"))
    return TrackedRun(
        id=run_id("study", *_which(first)),
        name=first.config.name,
        group=first.config.name,
        kind="study",
        config={
            "study": first.config.name,
            "baseline": first.config.baseline,
            "samples": first.config.samples,
            "models": [summary.config.model for summary in summaries],
            "recipes": {summary.config.model: summary.recipe for summary in summaries},
        },
        summary={"units_done": done, "units": total, "finished": done == total},
        tables={"cases": grid},
        figures=study_figures(summaries),
        uses=dict(_uses(summaries)),
        makes={slug(summary): study_results(summary) for summary in summaries},
    )


def _uses(summaries: Sequence[Summary]) -> Iterator[tuple[str, Any]]:
    """The records that the results were made from."""
    for summary in summaries:
        for case in summary.config.cases:
            records = [record for record in summary.records if record.case == case.name]
            if records:
                yield f"{slug(summary)}-{case.name}-records", case_records(summary, records)
