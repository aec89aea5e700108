"""Scores of single answers, out of what lmms-eval's tasks say of each.

Of every benchmark the mean of the answers' scores is the official score, as a share of the most it
gives: MME's points and MMBench's groups are no means of answers, so an answer there gets what its
pair or group adds.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.lmms.canvas import PUBLISHED

Logged = Mapping[str, Any]
"""One answer as lmms-eval logs it: ``doc_id``, ``target``, and a value for each metric."""
PERCEPTION, COGNITION = "mme_perception_score", "mme_cognition_score"
ROTATED = 10**6
"""MMBench numbers a question's rotations by its own number and multiples of this."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A published benchmark.

    Attributes
    ----------
    column : str
        In the published tables.
    task : str
        Of lmms-eval.
    metric : str
        Its main one.
    most : float
        The most that lmms-eval's official score can be.
    judge : str
        What a judge's verdict holds; empty without a judge.
    """

    column: str
    task: str
    metric: str
    most: float
    judge: str


@cache
def benchmarks() -> dict[str, Benchmark]:
    """The published benchmarks, by the names of their tasks."""
    with (PUBLISHED / "benchmarks.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        made = [Benchmark(**{**row, "most": float(row["most"])}) for row in rows]  # type: ignore[arg-type]
    return {one.task: one for one in made}


def scores_of(samples: Sequence[Logged], metrics: Sequence[str]) -> list[float]:
    """Scores in [0, 1] of a task's answers.

    Parameters
    ----------
    samples : sequence of mapping
        All of the task, as lmms-eval logs them.
    metrics : sequence of str
        Names of the task's metrics, the main one first.

    Raises
    ------
    StudyError
        If no metric gives single answers a number, or an answer has no verdict.
    """
    if not samples:
        raise StudyError("lmms-eval logged no answers")
    if {PERCEPTION, COGNITION} & set(samples[0]):
        return _mme([sample.get(PERCEPTION) or sample[COGNITION] for sample in samples])
    for metric in metrics:
        values = [sample.get(metric) for sample in samples]
        rule = _rule(metric, values[0])
        if rule is not None and None not in values:
            return rule(values)
    raise StudyError(f"metrics {', '.join(metrics)}: none gives single answers a number")


def _rule(metric: str, first: Any) -> Callable[[Sequence[Any]], list[float]] | None:
    """How the values of a metric become scores; None where they cannot."""
    if isinstance(first, int | float):
        return lambda values: [float(value) for value in values]
    if not isinstance(first, Mapping):
        return None
    if "review" in first:
        return lambda values: [int(value["score"]) / 5 for value in values]
    if metric == "mmmu_acc":
        return lambda values: [_mmmu(value) for value in values]
    if "prediction" in first and "category" in first:
        return _mmbench
    if isinstance(first.get("score"), int | float):
        return lambda values: [float(value["score"]) for value in values]
    return None


def _mme(values: Sequence[Mapping[str, Any]]) -> list[float]:
    """MME asks two questions about each picture: points for each, and more for both."""
    pairs: dict[tuple[str, Any], list[float]] = {}
    for value in values:
        pairs.setdefault((value["category"], value["question_id"]), []).append(value["score"])
    n_pairs: dict[str, int] = {}
    for category, _ in pairs:
        n_pairs[category] = n_pairs.get(category, 0) + 1
    shares = []
    for value in values:
        own = pairs[value["category"], value["question_id"]]
        points = (sum(own) / len(own) + (sum(own) == len(own))) / 2
        weight = len(own) * n_pairs[value["category"]] * len(n_pairs)
        shares.append(points * len(values) / weight)
    return shares


def _mmbench(values: Sequence[Mapping[str, Any]]) -> list[float]:
    """A question of MMBench is right if it is in every rotation of its choices."""
    from lmms_eval.tasks.mmbench.mmbench_evals import MMBench_Evaluator

    official = MMBench_Evaluator()
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for value in values:
        groups.setdefault(int(value["index"]) % ROTATED, []).append(value)
    hits = {number: official.eval_result(own, "static")[0] for number, own in groups.items()}
    return [
        float(hits[number]) * len(values) / (len(groups[number]) * len(groups))
        for number in (int(value["index"]) % ROTATED for value in values)
    ]


def _mmmu(value: Mapping[str, Any]) -> float:
    from lmms_eval.tasks.mmmu_pro.utils import evaluate_mmmu

    return float(evaluate_mmmu([dict(value)])[1]["acc"])
