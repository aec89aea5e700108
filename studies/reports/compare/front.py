"""Score against speed-up as data: the page's script draws it for a task and a kind of speed-up."""

from collections.abc import Mapping, Sequence
from typing import Any

from saccade.studies.analysis.overall import ALL, dominated_area, overall_rows
from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import COLUMNS, Row
from saccade.studies.reports.compare.kinds import KINDS, case_kind, full_text, setting_kind
from saccade.studies.reports.compare.lead import best_settings
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import Search, Sources
from saccade.studies.reports.speedup_charts import AXES
from saccade.studies.tasks.answer_classes import CLASSES

MORE = ("flip_rate", "broke", "fixed", "changed", "gen_length")
"""Fields beside those of `Summary.to_json` that a point tells of."""
FLIPS = MORE[:-1]


def front_data(runs: Sequence[Run], searches: Sequence[Search]) -> dict[str, Any]:
    """All charts: a group a run and a search. What a browser reads is plain and finite.

    ``columns`` names the fields of rows; those of `Summary.to_json` come first and are its own
    values. Of every group ``fronts`` and ``areas`` are by task and axis: numbers of rows that no
    other one beats, and the area that all dominate.
    """
    groups = [_of_run(run) for run in runs if run.rows]
    groups += [_of_search(search) for search in searches if search.result is not None]
    return {
        "columns": [*COLUMNS, *MORE],
        "axes": [{"name": name, "title": title} for name, title in AXES.items()],
        "kinds": {name: {"colour": m.colour, "symbol": m.symbol} for name, m in KINDS.items()},
        "all": ALL,
        "groups": groups,
    }


def fronts_in_order(runs: Sequence[Run], sources: Sources) -> list[int]:
    """Numbers of the groups as they are shown: those first that the lead is about."""
    found = [best for name in CLASSES for best in best_settings(runs, sources, name).values()]
    leading = {(best.source, best.model) for best in found if best is not None}
    owns = [(run.summary.config.name, run.summary.config.model) for run in runs if run.rows]
    owns += [("search", "") for own in sources.searches if own.result is not None]
    return sorted(range(len(owns)), key=lambda i: owns[i] not in leading)


def _of_run(run: Run) -> dict[str, Any]:
    summary = run.summary
    rows = [*run.rows, *(overall_rows(summary) if len(run.tasks) > 1 else [])]
    cases = {
        case.name: {"kind": case_kind(case, summary.recipe), "text": full_text(case, run)}
        for case in summary.config.cases
    }
    return _group(run.label, rows, cases, summary.config.baseline, lambda r: _more(run, r))


def _more(run: Run, row: Row) -> dict[str, Any]:
    pair = run.pair(row["case"], row["task"])
    more = {} if pair is None else {name: getattr(pair, name) for name in FLIPS}
    known = row["task"] != ALL
    return more | {"gen_length": run.gen_length(row["case"], row["task"]) if known else None}


def _of_search(search: Search) -> dict[str, Any]:
    """The front of a search on its test split; the unpruned model beside it."""
    assert search.result is not None
    result, task = search.result, str(search.result["task"])
    bare = result["bare_score"]
    rows: list[Row] = [_point("unpruned", task, bare, bare, {"measured": 1.0, "test_ideal": 1.0})]
    rows[0]["speedup_projected"] = 1.0
    cases = {"unpruned": {"kind": "unpruned", "text": "no controller"}}
    for member in result["front"]:
        name = member["name"] or f"trial {member['number']}"
        if member["policy"] == "none":
            continue
        pruner = "" if member["pruner"] is None else f", pruner {member['pruner']}"
        kind = setting_kind(member["policy"])
        cases[name] = {"kind": kind, "text": f"{member['policy']}{pruner}"}
        rows.append(_point(name, task, member["test_score"], bare, member))
    length = None if search.preset is None else search.preset.generation.get("gen_length")
    told = {row["case"]: row.pop("changed", None) for row in rows}
    return _group(
        f"search: {search.name}",
        rows,
        cases,
        "unpruned",
        lambda row: {"gen_length": length, "changed": told[row["case"]]},
    )


def _point(name: str, task: str, score: float, bare: float, member: Mapping[str, Any]) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        "case": name,
        "task": task,
        "score": score,
        "score_relative": score / bare if bare else None,
        "speedup": member.get("measured"),
        "speedup_low": member.get("measured_low"),
        "speedup_high": member.get("measured_high"),
        "speedup_ideal": member.get("test_ideal"),
        "speedup_projected": member.get("projected"),
        "changed": member.get("test_changed"),
    }


def _group(
    label: str, rows: Sequence[Row], cases: Mapping[str, Any], baseline: str, more: Any
) -> dict[str, Any]:
    places = {id(row): i for i, row in enumerate(rows)}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    by_task = {task: [row for row in rows if row["task"] == task] for task in tasks}
    fronts = {
        task: {axis: [places[id(row)] for row in pareto_front(own, axis)] for axis in AXES}
        for task, own in by_task.items()
    }
    areas = {
        task: {axis: dominated_area(own, axis) for axis in AXES} for task, own in by_task.items()
    }
    filled = [row | dict.fromkeys(MORE) | more(row) for row in rows]
    return {
        "label": label,
        "baseline": baseline,
        "tasks": tasks if ALL not in tasks else [ALL, *(task for task in tasks if task != ALL)],
        "rows": [[row[name] for name in (*COLUMNS, *MORE)] for row in filled],
        "cases": dict(cases),
        "fronts": fronts,
        "areas": areas,
    }
