"""From the sources of a report to runs: those of each source, as its own command sends them, and
one about the report itself."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.controller.errors import SaccadeError
from saccade.controller.preset_names import find_preset
from saccade.studies.analysis.summary import COLUMNS, summarise_all
from saccade.studies.reports.compare.front import MORE, front_data
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import Search, Sources
from saccade.studies.runs.model_folders import MODELS
from saccade.studies.runs.tune_show import goal_of
from saccade.studies.tracking.from_bench import FIGURES, bench_runs
from saccade.studies.tracking.from_study import run_id, study_runs
from saccade.studies.tracking.from_tune import tune_runs
from saccade.studies.tracking.scatter import AXES, front_figure
from saccade.studies.tracking.sink import BENCHES, Artifact, Cell, Grid, TrackedRun
from saccade.studies.tracking.study_files import preset_artifact

READ = ("results", "search", "bench", "preset")
"""Kinds of artifacts that a report can be read from."""


@dataclass(frozen=True, slots=True)
class Part:
    """Runs of one source, and the folder from which its own command sends them."""

    folder: Path
    runs: list[TrackedRun]


def source_parts(sources: Sources) -> tuple[list[Part], list[str]]:
    """Runs of every source, with the ids that its own command gives them; what cannot be sent."""
    roots = dict.fromkeys(_study_root(path) for path, _ in sources.runs)
    parts = [Part(root, list(study_runs(summarise_all(root)))) for root in roots]
    left = []
    for search in sources.searches:
        why = _not_sent(search)
        if why:
            left.append(f"{search.path} is on the page, but not sent alone: {why}")
        else:
            parts.append(Part(search.path, list(_search_runs(search))))
    parts += [Part(BENCHES, list(bench_runs(own.rows))) for own in sources.benches]
    return parts, left


def _study_root(run: Path) -> Path:
    """The folder of a study: of one of several models the one above."""
    return run.parent if (run.parent / MODELS).is_file() else run


def _not_sent(search: Search) -> str:
    if search.result is None:
        return "it has no result yet"
    return "its trials are not there" if search.study is None else ""


def _search_runs(search: Search) -> Iterator[TrackedRun]:
    assert search.result is not None and search.study is not None
    yield from tune_runs(
        {"name": search.config.get("name", search.name), **search.result},
        search.study,
        goal_of(search.study),
        search.path,
    )


def report_run(
    runs: Sequence[TrackedRun],
    sources: Sources,
    shown: Sequence[Run],
    *,
    title: str,
    page: tuple[str, bytes],
    findings: Sequence[str],
) -> TrackedRun:
    """The run about a report: all cases in one table, the fronts, and the page.

    It uses the artifacts that the runs of its sources left, so that the page's origin is known.

    Parameters
    ----------
    runs : sequence of TrackedRun
        Of all sources.
    sources : Sources
    shown : sequence of Run
        The studies' runs, as the page shows them.
    title : str
        Of the page.
    page : (str, bytes)
        Name and content of its file.
    findings : sequence of str
        The sentences with which it begins.
    """
    uses = dict(_used(runs)) | dict(_presets(sources))
    key = run_id("report", sorted(_origins(runs)), *_others(sources))
    groups = list(dict.fromkeys(run.group for run in runs))
    group = groups[0] if len(groups) == 1 else f"report-{key[-6:]}"
    data = front_data(shown, sources.searches)
    return TrackedRun(
        id=key,
        name=f"report on {title}",
        group=group,
        kind="report",
        config={"sources": [run.label for run in shown], "groups": groups},
        summary={"sources": len(sources), "findings": " ".join(findings)},
        tables=dict(_tables(data, sources)),
        figures=dict(_fronts(data)),
        uses=uses,
        makes={f"{group}-page": Artifact("report", {page[0]: page[1]})},
    )


def _origins(runs: Sequence[TrackedRun]) -> list[str]:
    """Ids of the runs that stand for a source."""
    return [run.id for run in runs if any(own.kind in READ for own in run.makes.values())]


def _others(sources: Sources) -> Iterator[Any]:
    """What tells apart the sources that have no runs."""
    yield [preset.model_dump(mode="json") for _, preset in sources.presets]
    yield [search.result for search in sources.searches if _not_sent(search)]


def _used(runs: Sequence[TrackedRun]) -> Iterator[tuple[str, Artifact]]:
    """What the runs left that a report is read from; a preset is part of its search."""
    names: dict[str, int] = {}
    for run in runs:
        for name, own in run.makes.items():
            if own.kind in READ and own.kind != "preset":
                names[name] = names.get(name, 0) + 1
                yield name if names[name] == 1 else f"{name}-{names[name]}", own


def _presets(sources: Sources) -> Iterator[tuple[str, Artifact]]:
    for path, preset in sources.presets:
        try:
            yield f"preset-{preset.name}", preset_artifact(find_preset(path))
        except (SaccadeError, OSError):  # changed since it was read
            continue


def _tables(data: dict[str, Any], sources: Sources) -> Iterator[tuple[str, Grid]]:
    rows = [
        (group["label"], group["cases"][row[0]]["kind"], *map(_cell, row))
        for group in data["groups"]
        for row in group["rows"]
    ]
    if rows:
        yield "cases", Grid(("source", "kind", *COLUMNS, *MORE), tuple(rows))
    benches = [
        (str(bench.path), *(_cell(row.get(name)) for name in ("case", "policy", *FIGURES)))
        for bench in sources.benches
        for row in bench.rows
    ]
    if benches:
        yield "benches", Grid(("source", "case", "policy", *FIGURES), tuple(benches))


def _fronts(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Of every source a figure a kind of speed-up, over all of its tasks where it has several."""
    columns = data["columns"]
    for group in data["groups"]:
        task = group["tasks"][0]
        rows = [dict(zip(columns, row, strict=True)) for row in group["rows"]]
        for axis, title in AXES.items():
            points = [
                (row[axis], row["score"], row["case"])
                for row in rows
                if row["task"] == task and row[axis] is not None and row["score"] is not None
            ]
            front = [(rows[i][axis], rows[i]["score"]) for i in group["fronts"][task][axis]]
            if points:
                name = f"front/{group['label']}, {task}, {title}"
                yield name, front_figure(points, front, title, "score")


def _cell(value: Any) -> Cell:
    plain = value is None or isinstance(value, str | int | float)
    return value if plain else json.dumps(value, default=str)
