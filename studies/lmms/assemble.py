"""From the cells of a study over benchmarks to records, recipe and official scores."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.lmms.answer_log import Line, read_answers
from saccade.studies.lmms.cells import (
    ANSWERS,
    Cell,
    is_done,
    logged_samples,
    official_scores,
)
from saccade.studies.lmms.config import LmmsStudy
from saccade.studies.lmms.recipe import RECIPE
from saccade.studies.lmms.scores import scores_of
from saccade.studies.runs.files import replacing
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.recipe_files import read_recipe
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import UNITS, RecordStore

OFFICIAL = "official.csv"
NOT_KEPT = ("key", "recipe", "task", "document", "text")


def assemble(study: LmmsStudy, model: str, cells: Sequence[Cell], folder: Path) -> list[str]:
    """Write what the finished tasks say into the folder of a study; gives those tasks.

    A task is finished when all cases have answered it. Everything is made anew from the cells.
    """
    by_task: dict[str, list[Cell]] = {}
    for cell in cells:
        by_task.setdefault(cell.task, []).append(cell)
    whole = {task: own for task, own in by_task.items() if all(map(is_done, own))}
    _write_official(folder / OFFICIAL, [cell for cell in cells if is_done(cell)])
    if not whole:
        return []
    records = {task: [_records(cell) for cell in own] for task, own in whole.items()}
    sizes = {task: len(own[0]) for task, own in records.items()}
    config = study.as_study(model, sizes)
    for path in (folder / UNITS).glob("*.jsonl"):
        path.unlink()
    with RecordStore(folder, _recipe(study, config, whole), config) as store:
        for unit in plan_units(config):
            store.append(unit, _unit(unit, records[unit.task]))
    return list(whole)


def _records(cell: Cell) -> list[dict[str, Any]]:
    """What records hold of a cell's answers, without their units."""
    samples = logged_samples(cell)
    official = official_scores(cell)
    scores = scores_of(samples, list(official))
    lines = _latest(cell)
    missing = [s["doc_id"] for s in samples if int(s["doc_id"]) not in lines]
    if missing:
        raise StudyError(f"{cell.label}: no figures of document {missing[0]}; remove {cell.folder}")
    return [
        {
            **{key: value for key, value in own.items() if key not in NOT_KEPT},
            "case": cell.case,
            "task": cell.task,
            "answer": own["text"],
            "expected": str(sample["target"]),
            "score": score,
            "exact": float(score >= 1),
            "rows": score,
            "symbols": score,
        }
        for sample, score in zip(samples, scores, strict=True)
        for own in [lines[int(sample["doc_id"])]]
    ]


def _latest(cell: Cell) -> dict[int, Line]:
    """Answers of a cell by document; those of other weights or settings are left out."""
    own = (read_recipe(cell.folder / ANSWERS / RECIPE) or {}).get("key")
    lines = read_answers(cell.folder / ANSWERS)
    return {line["document"]: line for line in lines if line["recipe"] == own}


def _unit(unit: Unit, cases: Sequence[Sequence[Mapping[str, Any]]]) -> list[Record]:
    """Records of a unit: all cases; the times of a unit's answers are their mean."""
    records = []
    for own in cases:
        parts = [own[sample] for sample in unit.samples]
        times = {name: fmean(p[name] for p in parts) for name in ("seconds", "prepare_seconds")}
        for sample, part in zip(unit.samples, parts, strict=True):
            plain = {**part, **times, "sample": sample, "unit": unit.number, "position": 0}
            plain["visual_runs"] = [(count, layers) for count, layers in part["visual_runs"]]
            records.append(Record(**plain, seed=unit.seed))
    return records


def _recipe(study: LmmsStudy, config: StudyConfig, whole: Mapping[str, Sequence[Cell]]) -> Recipe:
    """The recipe of a study, of those of its cells."""
    found: dict[str, dict[str, Any]] = {}
    cases: dict[str, Any] = {}
    for task, own in whole.items():
        for cell in own:
            recipe = read_recipe(cell.folder / ANSWERS / RECIPE)
            if recipe is None:
                raise StudyError(f"{cell.label} has no recipe; remove {cell.folder}")
            found.setdefault(task, recipe)
            said = {name: recipe["model"][name] for name in ("policy", "pruner", "positions")}
            cases.setdefault(cell.case, {})[task] = said
    first = next(iter(found.values()))
    return {
        "config": config.plain(),
        "cases": {name: _one_or_all(said) for name, said in cases.items()},
        "settings": {
            task: {**recipe["canvas"][task]["options"], "seed": study.seed}
            for task, recipe in found.items()
        },
        "backbone": first["backbone"],
        "model_files": first["model_files"],
        "versions": first["versions"],
        "hardware": first["hardware"],
        "git": first["git"],
        "seed": study.seed,
        "lmms": {
            "model": first["model"],
            "canvas": {task: recipe["canvas"][task] for task, recipe in found.items()},
            "batch_size": study.batch,
            "limit": study.limit,
        },
    }


def _one_or_all(said: Mapping[str, Any]) -> Any:
    """What a case does: the same on all tasks, or by task."""
    different = {str(one) for one in said.values()}
    return next(iter(said.values())) if len(different) == 1 else dict(said)


def _write_official(path: Path, cells: Sequence[Cell]) -> None:
    """The official scores of all finished cells, as lmms-eval gives them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "task", "case", "metric", "score"])
        for cell in cells:
            for metric, score in official_scores(cell).items():
                writer.writerow([cell.model, cell.task, cell.case, metric, score])
