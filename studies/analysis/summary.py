"""From the records of a run to one row per case and task."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saccade.controller.errors import StudyError
from saccade.studies.analysis.paired import mean_and_se, paired_change, paired_speedup
from saccade.studies.analysis.projection import BY_ORIGIN, LLADA_V, projected
from saccade.studies.analysis.results_html import results_html
from saccade.studies.config.cases import model_slug
from saccade.studies.config.study import StudyConfig, plan_units
from saccade.studies.runs.files import replacing
from saccade.studies.runs.identity import identity_of
from saccade.studies.runs.model_folders import run_folders
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import read_run
from saccade.studies.tasks.json_lines import parse_line, read_lines

COLUMNS: tuple[str, ...] = (
    "case",
    "backbone",
    "origin",
    "task",
    "n",
    "n_units",
    "score",
    "score_se",
    "score_seed_se",
    "score_relative",
    "score_change",
    "score_change_se",
    "speedup",
    "speedup_low",
    "speedup_high",
    "speedup_ideal",
    "speedup_ideal_paper",
    "speedup_projected",
    "seconds_per_sample",
    "steps",
    "visual_tokens_ratio",
    "visual_tokens",
    "macs",
    "macs_paper",
)
COMMITTED = ("score_committed_same", "score_committed")
PLAIN: dict[str, Any] = {"prefix_refresh_interval": None, "cfg_scale": 0, "prefix_lm": True}
"""Settings that the prices at published sizes assume, where a case gives them."""
RESULTS = Path(__file__).parent.parent / "results"
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Summary:
    """The results of a run, finished or not.

    Attributes
    ----------
    frame : DataFrame
        One row per case and task that have records, tasks and cases in the study's order; columns
        `COLUMNS`, then `COMMITTED`. `summarise` says what they mean. NaN: not defined.
    recipe : dict
    config : StudyConfig
    done, total : int
        Units with records, and units of the study.
    records : list of Record
        What it summarises.
    folder : Path or None
        Where they lie.
    identity : str or None
        Which run it is, see `saccade.studies.runs.identity`.
    """

    frame: pd.DataFrame
    recipe: Recipe
    config: StudyConfig
    done: int
    total: int
    records: Sequence[Record] = ()
    folder: Path | None = None
    identity: str | None = None

    def __repr__(self) -> str:
        own, units = self.config, f"{self.done} of {self.total} units"
        sizes = f"{len(own.cases)} cases, {len(own.tasks)} tasks, {units}"
        return f"Summary({own.name!r}, {own.model!r}, {sizes})"

    def _repr_html_(self) -> str:
        return results_html(repr(self), self.rows())

    @property
    def finished(self) -> bool:
        """Whether every unit of the study has its records."""
        return self.done == self.total

    def rows(self) -> list[Row]:
        """Plain values of all rows, None where not defined."""
        records: list[Row] = self.frame.to_dict("records")
        return [{key: _plain(value) for key, value in record.items()} for record in records]

    def to_json(self) -> dict[str, Any]:
        """Plain values for machines, in a stable form: ``cases``, how far the run is, ``recipe``.

        A case is given once per task, with the fields `COLUMNS`; None (null in JSON): not defined.
        """
        cases = [{name: row[name] for name in COLUMNS} for row in self.rows()]
        return {
            "cases": cases,
            "finished": self.finished,
            "units_done": self.done,
            "units": self.total,
            "recipe": self.recipe,
        }

    def write(self, folder: str | Path) -> None:
        """Write ``summary.parquet`` and ``summary.csv``.

        Raises
        ------
        StudyError
            If the folder cannot be written.
        """
        try:
            with replacing(Path(folder) / "summary.parquet") as partial:
                self.frame.to_parquet(partial, index=False)
            with replacing(Path(folder) / "summary.csv") as partial:
                self.frame.to_csv(partial, index=False)
        except OSError as error:
            raise StudyError(f"the summary cannot be written to {folder}: {error}") from error


def summarise(folder: str | Path) -> Summary:
    """Summarise what a run has measured so far.

    Per case and task, over its `n` samples: mean score, its standard error over samples, and over
    the means of the seeds (NaN for one seed); score relative to the baseline's, and the mean change
    from it over the same samples with the standard error of that; mean seconds (preparation and
    generation), steps, visual tokens, their ratio, and multiply-accumulates per sample; and
    speed-ups, all as the baseline's over the case's, more is faster:

    speedup, speedup_low, speedup_high
        Measured: geometric mean over units of the ratio of their times, preparation included, and
        its 95 % interval (Student's t over the `n_units` units; NaN for a single one).
    speedup_ideal
        Ratio of exact multiply-accumulates, vision tower and projector included.
    speedup_ideal_paper
        Ratio by the paper's formula, decoder layers alone.
    speedup_projected
        Ratio at the published size, see `saccade.studies.analysis.projection`: LLaDA-V where every
        step computes everything, LaViDa-Dream in prefix mode. NaN for other models, and for cases
        with other settings than `PLAIN`.
    score_committed_same, score_committed
        Of the baseline: the score of the evaluation stored with the package, on the same samples
        and on all of its own; NaN where there is none.

    Raises
    ------
    StudyError
        If the folder holds no run, or a damaged one.
    """
    recipe, config, records = read_run(folder)
    priced = _priced(config, recipe)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.task, record.case), []).append(record)
    committed = {} if config.seeds else committed_scores(config.model, config.seed)
    work = {key: _work(own, recipe["backbone"]["origin"]) for key, own in groups.items()}
    rows = []
    for task in config.tasks:
        for case in config.cases:
            if own := groups.get((task, case.name)):
                baseline = groups[task, config.baseline]
                row = _row(own, baseline, recipe)
                row |= _ratios(work[task, config.baseline], work[task, case.name])
                if not {case.name, config.baseline} <= priced:
                    row["speedup_projected"] = math.nan
                row |= _committed(own if own is baseline else [], committed)
                rows.append(row)
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *COMMITTED])
    done = len({(record.task, record.unit) for record in records})
    total, where = len(plan_units(config)), Path(folder)
    return Summary(frame, recipe, config, done, total, records, where, identity_of(where))


def summarise_all(folder: str | Path) -> list[Summary]:
    """Summaries of all models of a study, in its order; errors are those of `summarise`."""
    return [summarise(own) for own in run_folders(folder)]


def write_all(summaries: Sequence[Summary], folder: str | Path) -> None:
    """Write the rows of several models as one ``summary.parquet`` and ``summary.csv``; their
    column ``backbone`` tells them apart. Errors are those of `Summary.write`."""
    frame = pd.concat([summary.frame for summary in summaries], ignore_index=True)
    replace(summaries[0], frame=frame).write(folder)


def _priced(config: StudyConfig, recipe: Recipe) -> set[str]:
    """Names of the cases whose work can be projected to a published size."""
    if recipe["backbone"]["origin"] not in BY_ORIGIN:
        return set()
    return {
        case.name
        for case in config.cases
        if all(case.settings.get(name, value) in (value, None) for name, value in PLAIN.items())
    }


def _row(own: Sequence[Record], baseline: Sequence[Record], recipe: Recipe) -> Row:
    scores = [record.score for record in own]
    score, score_baseline = float(np.mean(scores)), float(np.mean([b.score for b in baseline]))
    se = float(np.std(scores, ddof=1)) / math.sqrt(len(own)) if len(own) > 1 else math.nan
    change, change_se = paired_change(_scores(baseline), _scores(own))
    speedup, low, high = paired_speedup(_unit_seconds(baseline), _unit_seconds(own))
    return {
        "case": own[0].case,
        "backbone": recipe["backbone"]["name"],
        "origin": recipe["backbone"]["origin"],
        "task": own[0].task,
        "n": len(own),
        "n_units": len(_unit_seconds(own)),
        "score": score,
        "score_se": se,
        "score_seed_se": _seed_se(own),
        "score_relative": score / score_baseline if score_baseline else math.nan,
        "score_change": change,
        "score_change_se": change_se,
        "speedup": speedup,
        "speedup_low": low,
        "speedup_high": high,
        "seconds_per_sample": float(np.mean([r.seconds + r.prepare_seconds for r in own])),
        "steps": float(np.mean([r.forwards for r in own])),
        "visual_tokens_ratio": float(np.mean([r.visual_tokens_ratio for r in own])),
        "visual_tokens": float(np.mean([r.visual_tokens for r in own])),
        "macs": float(np.mean([r.macs for r in own])),
        "macs_paper": float(np.mean([r.macs_paper for r in own])),
    }


def _work(records: Sequence[Record], origin: str) -> dict[str, int]:
    """Multiply-accumulates of records, as each of the ideal speed-ups counts them."""
    published = BY_ORIGIN.get(origin, LLADA_V)
    return {
        "speedup_ideal": total_macs(records),
        "speedup_ideal_paper": sum(r.macs_paper for r in records),
        "speedup_projected": sum(projected(r, published) for r in records),
    }


def total_macs(records: Iterable[Record]) -> int:
    """Exact multiply-accumulates of records, vision tower and projector included."""
    return sum(record.macs + record.prepare_macs for record in records)


def _ratios(baseline: Mapping[str, int], own: Mapping[str, int]) -> Row:
    """Speed-ups by work: the baseline's over the case's."""
    return {name: baseline[name] / own[name] for name in own}


def acted(row: Row, baseline: Row | None) -> bool:
    """Whether a case did anything: dropped or skipped visual tokens, or computed less or more."""
    if row["visual_tokens_ratio"] < 1 or baseline is None:
        return True
    return bool(row["macs"] != baseline["macs"])


def _scores(records: Sequence[Record]) -> dict[tuple[int, int], float]:
    return {(record.seed, record.sample): record.score for record in records}


def _seed_se(records: Sequence[Record]) -> float:
    """Standard error of the mean score over seeds; NaN for one seed."""
    by_seed: dict[int, list[float]] = {}
    for record in records:
        by_seed.setdefault(record.seed, []).append(record.score)
    means = [float(np.mean(scores)) for scores in by_seed.values()]
    return mean_and_se(means)[1]


def _unit_seconds(records: Sequence[Record]) -> dict[int, float]:
    """Seconds per sample of each unit, preparation included; all samples of a unit share them."""
    return {record.unit: record.seconds + record.prepare_seconds for record in records}


def committed_scores(model: str, seed: int) -> dict[tuple[str, int], float]:
    """Scores by task and sample of the evaluation stored in a checkout, empty without one: a wheel
    holds none.

    Lines that give another seed (0 unless they say so) are about other samples and do not count.
    """
    try:
        lines = read_lines(RESULTS / model_slug(model) / "evaluation.jsonl")
    except StudyError:
        return {}
    scores = {}
    for _, line in lines:
        try:
            record = parse_line(line)
            if record.get("seed", 0) == seed:
                scores[str(record["task"]), int(record["sample"])] = float(record["score"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return scores


def _committed(own: Sequence[Record], committed: Mapping[tuple[str, int], float]) -> Row:
    """Committed scores next to the baseline's own records; NaN unless they cover all of these."""
    every = [score for (task, _), score in committed.items() if own and task == own[0].task]
    same = [committed.get((record.task, record.sample), math.nan) for record in own]
    means = [float(np.mean(scores)) if scores else math.nan for scores in (same, every)]
    return dict(zip(COMMITTED, means, strict=True))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
