"""The best setting of each class of tasks, and what it costs, in two sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from saccade.studies.analysis.overall import geometric_of, mean_of
from saccade.studies.reports.compare.runs import Run
from saccade.studies.reports.compare.sources import Search, Sources
from saccade.studies.reports.formats import number, percent
from saccade.studies.tasks.answer_classes import CLASSES
from saccade.tuning.goal import Goal

MAX_DROP = Goal().max_drop
"""Share of the score that the best setting may lose: what a search allows."""


@dataclass(frozen=True, slots=True)
class Best:
    """A setting over the tasks of one class; `speedup` None: not measured."""

    case: str
    model: str
    source: str
    tasks: tuple[str, ...]
    relative: float
    speedup: float | None
    ideal: float | None
    changed: float | None

    def order(self) -> tuple[int, float]:
        """More tasks, then faster, come later."""
        return len(self.tasks), self.speedup or self.ideal or 0.0


def lead(runs: Sequence[Run], sources: Sources) -> list[str]:
    """A sentence for every class of tasks that there are results of."""
    return [f"{head}: {'; '.join(clauses)}." for head, clauses in lead_parts(runs, sources)]


def lead_parts(runs: Sequence[Run], sources: Sources) -> list[tuple[str, list[str]]]:
    """The same in parts: the class with its tasks, and what is best on each model."""
    said = []
    for name in CLASSES:
        models = best_settings(runs, sources, name)
        if models:
            clauses = [_clause(model, best) for model, best in models.items()]
            tasks = ", ".join(_tasks(runs, sources, name))
            said.append((f"{name.capitalize()} answers ({tasks})", clauses))
    return said


def _tasks(runs: Sequence[Run], sources: Sources, name: str) -> list[str]:
    """Tasks of a class, by runs and by the presets of searches."""
    tasks = [task for run in runs for task in run.tasks if run.task_class(task) == name]
    presets = [own.preset.task for own in sources.searches if own.preset is not None]
    tasks += [own.name for own in presets if own.kind == name]
    return list(dict.fromkeys(tasks))


def best_settings(runs: Sequence[Run], sources: Sources, name: str) -> dict[str, Best | None]:
    """Of every model with results of a class, the fastest setting that keeps enough of the score;
    None: no setting is faster. Of runs those with most tasks count; searches where there is none.
    """
    found: dict[str, Best | None] = {}
    for run in runs:
        tasks = tuple(task for task in run.tasks if run.task_class(task) == name)
        model = run.summary.config.model
        if tasks:
            before = found.setdefault(model, None)
            options = [own for own in (before, *_of_run(run, tasks)) if own]
            found[model] = max(options, key=Best.order, default=None)
    studied = set(found)
    for search in sources.searches:
        own = _of_search(search, name)
        if own is not None and own.model not in studied:
            known = found.get(own.model)
            found[own.model] = own if known is None else max(known, own, key=Best.order)
    return found


def _of_run(run: Run, tasks: Sequence[str]) -> list[Best]:
    """Cases that are faster and lose no more than is allowed, mean over the tasks."""
    by_case: dict[str, list[dict[str, float]]] = {}
    for row in run.rows:
        if row["task"] in tasks and row["case"] != run.summary.config.baseline:
            by_case.setdefault(row["case"], []).append(row)
    best = []
    for case, rows in by_case.items():
        relative, speedup = mean_of(rows, "score_relative"), geometric_of(rows, "speedup")
        if len(rows) < len(tasks) or relative is None or relative < 1 - MAX_DROP:
            continue
        if speedup is not None and speedup > 1:
            pairs = [own for task in tasks if (own := run.pair(case, task))]
            changed = sum(own.changed for own in pairs) / len(pairs) if pairs else None
            ideal = geometric_of(rows, "speedup_ideal")
            model, name = run.summary.config.model, run.summary.config.name
            best.append(Best(case, model, name, tuple(tasks), relative, speedup, ideal, changed))
    return best


def _of_search(search: Search, name: str) -> Best | None:
    preset, result = search.preset, search.result
    if preset is None or result is None or preset.task.kind != name:
        return None
    front = preset.front
    if front.score_relative is None or preset.policy == "none":
        return None
    changed = result["chosen"].get("test_changed")
    return Best(
        f"the tuned setting for {preset.task.name}",
        preset.backbone.name,
        "search",
        (preset.task.name,),
        front.score_relative,
        front.measured,
        front.ideal,
        changed,
    )


def _clause(model: str, best: Best | None) -> str:
    if best is None:
        return f"on {model} no setting is faster and keeps {percent(1 - MAX_DROP)} of the score"
    fast = f"{number(best.ideal, 2)} times less work"
    if best.speedup is not None:
        fast = f"{number(best.speedup, 2)} times as fast ({fast})"
    changed = "" if best.changed is None else f", {percent(best.changed, 1)} of answers changed"
    return (
        f"on {model} “{best.case}” is {fast} at {percent(best.relative, 1)} of the unpruned score"
        f"{changed} ({best.source})"
    )
