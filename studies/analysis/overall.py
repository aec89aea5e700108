"""A case over all tasks of its run, and what the cases of a task dominate together."""

import math
from collections.abc import Sequence

from scipy.stats import t as student

from saccade.studies.analysis.summary import Row, Summary
from saccade.tuning.result import area

ALL = "all tasks"
"""What rows over all tasks have as their task."""
MEANS = ("score", "seconds_per_sample", "steps", "visual_tokens_ratio", "visual_tokens")
RATIOS = ("speedup", "speedup_ideal", "speedup_ideal_paper", "speedup_projected")


def overall_rows(summary: Summary) -> list[Row]:
    """One row a case, of those that have records of every task that the baseline has.

    Scores are means over tasks, and speed-ups geometric means; both with the errors that follow
    from those of the tasks, whose samples are independent. Other fields are None.
    """
    by_case: dict[str, list[Row]] = {}
    for row in summary.rows():
        by_case.setdefault(row["case"], []).append(row)
    n = len(by_case.get(summary.config.baseline, []))
    return [_overall(rows) for rows in by_case.values() if len(rows) == n]


def _overall(rows: Sequence[Row]) -> Row:
    out: Row = dict.fromkeys(rows[0])
    out |= {name: rows[0][name] for name in ("case", "backbone", "origin")}
    out |= {"task": ALL, "n": sum(r["n"] for r in rows), "n_units": sum(r["n_units"] for r in rows)}
    out |= {name: mean_of(rows, name) for name in MEANS}
    out["score_relative"] = mean_of(rows, "score_relative")
    errors = [row["score_se"] for row in rows]
    known = all(error is not None for error in errors)
    out["score_se"] = math.sqrt(sum(e**2 for e in errors)) / len(errors) if known else None
    out |= {name: geometric_of(rows, name) for name in RATIOS}
    out["speedup_low"], out["speedup_high"] = _interval(rows, out["speedup"])
    return out


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """Mean of a field; None where a row has none."""
    values = [row[name] for row in rows]
    return None if None in values else sum(values) / len(values)


def geometric_of(rows: Sequence[Row], name: str) -> float | None:
    """Geometric mean of a field; None where a row has none."""
    values = [row[name] for row in rows]
    return None if None in values else math.exp(sum(map(math.log, values)) / len(values))


def _interval(rows: Sequence[Row], middle: float | None) -> tuple[float | None, float | None]:
    """95 % interval of a geometric mean, from those of its tasks (Welch and Satterthwaite)."""
    if middle is None or any(row["speedup_low"] is None for row in rows):
        return None, None
    squares, spread = [], 0.0
    for row in rows:
        free = row["n_units"] - 1
        half = math.log(row["speedup_high"] / row["speedup_low"]) / 2
        squares.append((half / float(student.ppf(0.975, free))) ** 2)
        spread += squares[-1] ** 2 / free
    total = sum(squares)
    if not total:
        return middle, middle
    half = float(student.ppf(0.975, total**2 / spread)) * math.sqrt(total) / len(rows)
    return middle * math.exp(-half), middle * math.exp(half)


def dominated_area(rows: Sequence[Row], axis: str) -> float:
    """Area that the rows of one task dominate (the hypervolume), see `saccade.tuning.result.area`;
    the cost is one over the speed-up that `axis` names."""
    known = [row for row in rows if row[axis] is not None and row["score_relative"] is not None]
    return area([row["score_relative"] for row in known], [1 / row[axis] for row in known])
