"""A study of methods as one table: methods by tasks, in the form of published tables.

It also has the published figures of the same method, retention and schedule, marked as such: others
measured them, on other models and other tasks.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from saccade.studies.analysis.paired import mean_and_se
from saccade.studies.analysis.summary import Row, Summary, acted
from saccade.studies.config.study import Case
from saccade.studies.runs.record import Record

PUBLISHED = Path(__file__).parent.parent / "published"
BACKBONES = {"from-scratch": "LLaDA-V", "ar-to-diffusion": "LaViDa-Dream"}
"""Published model of each origin."""


@dataclass(frozen=True, slots=True)
class Line:
    """One method in one group.

    Attributes
    ----------
    method : str
    case : str
    cells : list of (float, float) or None
        Score in percent on each task, and its standard error over seeds (over samples if there is
        one seed); None where there are no records, or nothing was done in any sample.
    relative : (float, float)
        Mean over those tasks of the score relative to the baseline's, in percent, and its standard
        error over seeds (NaN for one).
    speedup, ideal, paper, projected : float
        Geometric mean over those tasks: measured, by exact multiply-accumulates, by the published
        formula, at the published size. NaN without a task, or where it is not defined.
    steps : float
        Geometric mean over those tasks of its steps relative to the baseline's, in percent.
    visual : float
        Mean over those tasks of the visual tokens that its steps read in all layers, in percent.
    published : float or None
        Relative average of the published method, in percent, over its own tasks.
    """

    method: str
    case: str
    cells: list[tuple[float, float] | None]
    relative: tuple[float, float]
    speedup: float
    ideal: float
    paper: float
    projected: float
    steps: float
    visual: float
    published: float | None


@dataclass(frozen=True, slots=True)
class Methods:
    """A study's methods, group by group; the first group holds the baseline alone."""

    tasks: tuple[str, ...]
    groups: list[tuple[str, list[Line]]]
    origin: str
    seeds: int

    def rows(self) -> list[dict[str, Any]]:
        """Plain values, None where not defined."""
        return [_plain(group, line, self.tasks) for group, lines in self.groups for line in lines]


def has_methods(summary: Summary) -> bool:
    """Whether the cases of a study belong to a table of methods."""
    others = [case for case in summary.config.cases if case.name != summary.config.baseline]
    return bool(others) and all(case.method is not None for case in others)


def methods_of(summary: Summary) -> Methods:
    """The table of a study of which `has_methods` is true."""
    config, origin = summary.config, summary.recipe["backbone"]["origin"]
    rows = {(row["case"], row["task"]): row for row in summary.rows()}
    records: dict[str, list[Record]] = {}
    for record in summary.records:
        records.setdefault(record.case, []).append(record)
    groups: dict[str, list[Line]] = {}
    for case in config.cases:
        own = [rows.get((case.name, task)) for task in config.tasks]
        base = case.name == config.baseline
        bare = {task: rows.get((config.baseline, task)) for task in config.tasks}
        used = [r for r in own if r is not None and (base or acted(r, bare[r["task"]]))]
        line = Line(
            method=case.method or case.name,
            case=case.name,
            cells=[_cell(row) if row in used else None for row in own],
            relative=relative_average(
                records.get(case.name, []),
                records.get(config.baseline, []),
                [row["task"] for row in used],
            ),
            speedup=_geometric(used, "speedup"),
            ideal=_geometric(used, "speedup_ideal"),
            paper=_geometric(used, "speedup_ideal_paper"),
            projected=_geometric(used, "speedup_projected"),
            steps=_steps(used, bare),
            visual=100 * _mean_of([row["visual_tokens_ratio"] for row in used]),
            published=None if base else published_average(case, origin),
        )
        groups.setdefault("" if base else case.group or "", []).append(line)
    return Methods(config.tasks, list(groups.items()), origin, len(config.every_seed))


def relative_average(
    own: Sequence[Record], baseline: Sequence[Record], tasks: Sequence[str]
) -> tuple[float, float]:
    """Mean over tasks of the score relative to the baseline's, in percent; and its standard error
    over seeds (NaN for one). Seeds that lack a task so far do not count."""
    seeds = sorted({record.seed for record in own})
    averages = []
    for seed in seeds:
        ratios = [_ratio(_mean(own, task, seed), _mean(baseline, task, seed)) for task in tasks]
        averages.append(100 * float(np.mean(ratios)) if ratios else math.nan)
    return mean_and_se([average for average in averages if math.isfinite(average)])


def _mean(records: Iterable[Record], task: str, seed: int) -> float:
    scores = [r.score for r in records if r.task == task and r.seed == seed]
    return float(np.mean(scores)) if scores else math.nan


def _ratio(own: float, baseline: float) -> float:
    """NaN where the baseline has nothing."""
    return own / baseline if baseline else math.nan


def _cell(row: Row | None) -> tuple[float, float] | None:
    if row is None:
        return None
    se = row["score_seed_se"] if row["score_seed_se"] is not None else row["score_se"]
    return 100 * row["score"], math.nan if se is None else 100 * se


def _geometric(rows: Sequence[Row], name: str) -> float:
    if any(row[name] is None for row in rows):
        return math.nan
    logs = [math.log(row[name]) for row in rows]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _steps(rows: Sequence[Row], bare: Mapping[str, Row | None]) -> float:
    """Steps relative to the baseline's, in percent: the geometric mean over tasks."""
    pairs = [(row["steps"], base["steps"]) for row in rows if (base := bare[row["task"]])]
    logs = [math.log(own / base) for own, base in pairs]
    return 100 * math.exp(_mean_of(logs)) if logs else math.nan


def _mean_of(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def published_average(case: Case, origin: str) -> float | None:
    """Relative average that the study of arXiv 2511.15098 gives for a case, or None.

    Its table 3 gives scores; their average relative to the unpruned model's is computed here, over
    the tasks that it has for that share of the steps.
    """
    policy, backbone = case.policy_call, BACKBONES.get(origin)
    if policy is None or backbone is None or policy.name not in ("after_share", "vtw"):
        return None
    share = float(policy.options.get("share", 0.0))
    keep = 0.0 if policy.name == "vtw" else float(policy.options["keep"])
    own = [r for r in published() if (r["backbone"], r["method"]) == (backbone, case.method)]
    if share == 0:
        at_start = [r for r in own if r.get("keep") and float(r["keep"]) == keep]
        return float(at_start[0]["relative_average_percent"]) if at_start else None
    if keep not in (0.25, 0.0):
        return None
    later = [r for r in own if r.get("share_of_steps") and float(r["share_of_steps"]) == share]
    ratios = [float(r["score"]) / float(r["baseline_score"]) for r in later]
    return 100 * float(np.mean(ratios)) if ratios else None


@cache
def published() -> tuple[dict[str, str], ...]:
    """All rows of the published tables that ship with the package."""
    rows: list[dict[str, str]] = []
    for path in sorted(PUBLISHED.glob("table*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return tuple(rows)


def defined(value: float | None) -> float | None:
    """A value, or None where it is not a finite number."""
    return None if value is None or not math.isfinite(value) else value


def _plain(group: str, line: Line, tasks: Sequence[str]) -> dict[str, Any]:
    cells = dict(zip(tasks, line.cells, strict=True))
    return {
        "group": group,
        "method": line.method,
        "case": line.case,
        "scores": {task: None if cell is None else cell[0] for task, cell in cells.items()},
        "scores_se": {t: None if cell is None else defined(cell[1]) for t, cell in cells.items()},
        "relative_average": defined(line.relative[0]),
        "relative_average_se": defined(line.relative[1]),
        "steps_relative": defined(line.steps),
        "visual_tokens_relative": defined(line.visual),
        "speedup": defined(line.speedup),
        "speedup_ideal": defined(line.ideal),
        "speedup_ideal_paper": defined(line.paper),
        "speedup_projected": defined(line.projected),
        "relative_average_published": line.published,
    }
