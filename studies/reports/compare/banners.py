"""What a reader must know first: what is missing, of different recipes, or not paired."""

import itertools
from collections.abc import Sequence
from typing import Any

from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import Search, Sources

SHOWN = 4
"""Fields in which recipes differ that are named."""


def banners(runs: Sequence[Run], sources: Sources, baseline: str | None) -> list[str]:
    """One sentence or two each, the worst first."""
    said = [_incomplete(run) for run in runs] + [_unpaired(run) for run in runs]
    said += [_lacks(run, baseline) for run in runs]
    said += [_unfinished(search) for search in sources.searches]
    said += sources.problems
    said += [f"{run.label}: {problem}." for run in runs for problem in run.pairs.problems]
    said += different_recipes(runs)
    return [text for text in said if text]


def _incomplete(run: Run) -> str:
    own = run.summary
    if own.finished:
        return ""
    if not own.records:
        return f"{run.label} has no records yet."
    return f"{run.label} is unfinished: {own.done} of {own.total} units are in."


def _unpaired(run: Run) -> str:
    counts: dict[str, set[int]] = {}
    for row in run.rows:
        counts.setdefault(row["task"], set()).add(row["n"])
    odd = [task for task, found in counts.items() if len(found) > 1]
    return (
        f"{run.label}: not all cases answered the same samples of {', '.join(odd)}." if odd else ""
    )


def _lacks(run: Run, baseline: str | None) -> str:
    if baseline is None or run.pairs.baseline == baseline:
        return ""
    own = run.pairs.baseline
    return f"{run.label} has no case “{baseline}”: it is compared with its own, “{own}”."


def _unfinished(search: Search) -> str:
    return f"The search {search.name} has no result yet." if search.result is None else ""


def different_recipes(runs: Sequence[Run]) -> list[str]:
    """Of runs of one model, in what they differ: their cases must not be compared with each
    other."""
    by_model: dict[str, list[Run]] = {}
    for run in runs:
        by_model.setdefault(run.summary.config.model, []).append(run)
    said = []
    for model, own in by_model.items():
        fields = sorted({name for a, b in itertools.pairwise(own) for name in _differences(a, b)})
        if fields:
            names = ", ".join(dict.fromkeys(run.summary.config.name for run in own))
            more = f" and {len(fields) - SHOWN} more" if len(fields) > SHOWN else ""
            said.append(
                f"Different recipes of {model} ({names}): {', '.join(fields[:SHOWN])}{more}. Each "
                "run is paired with its own baseline; between runs nothing is paired."
            )
    return said


def _differences(a: Run, b: Run) -> list[str]:
    one, other = _facts(a), _facts(b)
    return [name for name in one if one[name] != other[name]]


def _facts(run: Run) -> dict[str, Any]:
    """What must be the same for figures to be compared between runs."""
    recipe, config = run.summary.recipe, run.summary.config
    facts = {f"version of {k}": v for k, v in recipe.get("versions", {}).items() if k == "torch"}
    return {
        "files of the model": recipe.get("model_files"),
        "settings of tasks": {k: recipe["settings"].get(k) for k in sorted(recipe["settings"])},
        "samples": (config.samples, config.every_seed, config.split),
        "batch": config.batch,
        "hardware": recipe.get("hardware"),
        "commit": recipe.get("git", {}).get("commit"),
        "version of torch": None,
    } | facts
