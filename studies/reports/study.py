"""A study's results in a notebook: tables, fronts and comparisons as pandas tables."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.controller.errors import StudyError, UnknownNameError
from saccade.controller.names import not_allowed, unknown_name
from saccade.studies.analysis.paired import paired_change
from saccade.studies.analysis.pairs import compare_cases, records_by_task
from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.pictures import Key
from saccade.studies.analysis.summary import COLUMNS, Row, Summary, summarise_all, total_macs
from saccade.studies.reports.report import write_report
from saccade.studies.reports.speedup_charts import AXES
from saccade.studies.runs.record import Record

if TYPE_CHECKING:
    import pandas as pd

FIRST = ("model", "task", "case")
"""Columns that say what a row is about."""
FIGURES = tuple(name for name in COLUMNS if name not in ("case", "task", "backbone"))
COMPARED = (
    "model",
    "task",
    "n",
    "pictures",
    "score",
    "score_baseline",
    "change",
    "change_se",
    "change_low",
    "change_high",
    "p_value",
    "worse",
    "better",
    "broke",
    "fixed",
    "answers_changed",
    "least_effect",
    "speedup",
    "speedup_low",
    "speedup_high",
    "speedup_ideal",
)


class Study:
    """What a study has measured, finished or not.

    Parameters
    ----------
    folder : str or Path
        What `saccade study run` wrote (``--out``), or committed results; of one model or several.

    Attributes
    ----------
    folder : Path
    summaries : list of Summary
        One per model, in the study's order.

    Raises
    ------
    StudyError
        If the folder is missing, holds no study, or a damaged one.

    Examples
    --------
    >>> study = saccade.Study("runs/demo")
    >>> study.compare("auto", "none")[["task", "change", "speedup"]]
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise StudyError(
                f"no folder of results at {self.folder}; make one with: saccade study run demo "
                "--out runs/demo"
            )
        if (self.folder / "tune.json").exists():
            raise StudyError(
                f"{self.folder} holds a search, no study; see it with: saccade tune show "
                f"{self.folder}"
            )
        self.summaries: list[Summary] = summarise_all(self.folder)

    @property
    def models(self) -> list[str]:
        """Models that have begun."""
        return [summary.config.model for summary in self.summaries]

    @property
    def tasks(self) -> list[str]:
        """Tasks of the study, in its order."""
        return _names(self.summaries, lambda summary: summary.config.tasks)

    @property
    def cases(self) -> list[str]:
        """Names of the cases of all models, in the study's order."""
        return _names(self.summaries, lambda one: [case.name for case in one.config.cases])

    @property
    def baseline(self) -> str:
        """Name of the case that all are compared with."""
        return self.summaries[0].config.baseline

    @property
    def finished(self) -> bool:
        """Whether every unit of every model that has begun is there."""
        return all(summary.finished for summary in self.summaries)

    def __repr__(self) -> str:
        sizes = f"{len(self.cases)} cases, {len(self.tasks)} tasks, {_count(len(self.models))}"
        units = (sum(getattr(one, name) for one in self.summaries) for name in ("done", "total"))
        state = "" if self.finished else ", unfinished: {} of {} units".format(*units)
        return f"Study({str(self.folder)!r}, {sizes}{state})"

    def _repr_html_(self) -> str:
        return "".join(summary._repr_html_() for summary in self.summaries)

    def table(self) -> "pd.DataFrame":
        """One row per model, task and case: the figures of ``saccade study show --json``.

        Returns
        -------
        DataFrame
            Columns ``model``, ``task``, ``case``, then those of `Summary`: scores from 0 to 1 and
            speed-ups over the baseline. NaN: not defined.
        """
        return _frame(list(self._rows()))

    def front(self, axis: str = "speedup") -> "pd.DataFrame":
        """The rows of `table` that no other one of the same model and task beats in both score and
        speed-up, by ascending speed-up.

        Parameters
        ----------
        axis : str
            ``"speedup"`` (measured), ``"speedup_ideal"`` or ``"speedup_projected"``.

        Raises
        ------
        ValueError
            If the axis is none of these.
        """
        if axis not in AXES:
            raise ValueError(not_allowed("axis", axis, AXES))
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self._rows():
            groups.setdefault((row["model"], row["task"]), []).append(row)
        return _frame([row for rows in groups.values() for row in pareto_front(rows, axis)])

    def compare(self, case: str, baseline: str | None = None) -> "pd.DataFrame":
        """Two cases on the samples that both have answered, one row per model and task.

        Parameters
        ----------
        case, baseline : str
            Names of cases; the baseline is the study's own unless another one is given.

        Returns
        -------
        DataFrame
            Columns `COMPARED`, with the figures of ``saccade study show`` and ``saccade report``:
            samples, and pictures, which chance is reckoned over; mean score of both; mean change
            of the score over the same samples, with its standard error over samples and its 95 %
            interval over pictures; ``p_value`` of the exact two-sided test (McNemar's where answers
            are right or wrong, else the sign test) that as many pictures get worse as better, and
            how many do; samples that the case scores lower (``broke``) or higher (``fixed``) than
            the baseline; share of the answers whose text differs; the least change that so many
            pictures would have shown; and the time of the baseline over the case's, paired by unit,
            with its 95 % interval, and the ratio of their exact multiply-accumulates. NaN: not
            defined.

        Warns
        -----
        UserWarning
            If the pictures of a file of questions cannot be read any more: each question then
            counts as a picture of its own.

        Raises
        ------
        UnknownNameError
            If the study has no such case.
        StudyError
            If no model has answered anything with both.
        """
        import pandas as pd

        own = self.baseline if baseline is None else baseline
        for name in (case, own):
            if name not in self.cases:
                raise UnknownNameError(unknown_name("case", name, self.cases, "in this study"))
        rows = [row for one in self.summaries for row in _compared(one, case, own)]
        if not rows:
            raise StudyError(
                f"{self.folder}: no model has answers of both {case!r} and {own!r}; "
                f"{_who_has(self.summaries, (case, own))}"
            )
        return pd.DataFrame(rows, columns=list(COMPARED))

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained page, and say where it is.

        Raises
        ------
        StudyError
            If the file cannot be written.
        """
        write_report(self.summaries, path)
        return Path(path)

    def _rows(self) -> Iterator[Row]:
        for summary in self.summaries:
            for row in summary.rows():
                yield {"model": summary.config.model, **row}


def _count(models: int) -> str:
    return "1 model" if models == 1 else f"{models} models"


def _names(summaries: Sequence[Summary], names_of: Callable[[Summary], Sequence[str]]) -> list[str]:
    """Names of all models, each once."""
    return list(dict.fromkeys(name for one in summaries for name in names_of(one)))


def _frame(rows: Sequence[Row]) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=[*FIRST, *FIGURES])
    # a column of nothing but None would be one of objects, not of numbers
    numbers = [name for name in FIGURES if name != "origin"]
    return frame.astype(dict.fromkeys((n for n in numbers if frame[n].isna().any()), "float64"))


def _compared(summary: Summary, case: str, baseline: str) -> Iterator[dict[str, Any]]:
    """A model's rows of a comparison, for tasks with answers of both cases."""
    found, tables = compare_cases(summary, case, baseline), records_by_task(summary)
    for problem in found.problems:
        warnings.warn(f"{summary.config.model}: {problem}", stacklevel=4)
    for pair in found.rows:
        cases = tables[pair.task]
        own, bare = cases[case], cases[baseline]
        values = _scored(own, bare) | asdict(pair) | {"answers_changed": pair.changed}
        row = {name: values[name] for name in COMPARED if name in values}
        yield {"model": summary.config.model, **row}


def _scored(own: Mapping[Key, Record], bare: Mapping[Key, Record]) -> dict[str, Any]:
    """What a pair does not say: both scores, the error of the change, and the ratio of the work."""
    scores = [{key: one.score for key, one in side.items()} for side in (own, bare)]
    return {
        "score": float(np.mean(list(scores[0].values()))),
        "score_baseline": float(np.mean(list(scores[1].values()))),
        "change_se": paired_change(scores[1], scores[0])[1],
        "speedup_ideal": total_macs(bare.values()) / total_macs(own.values()),
    }


def _who_has(summaries: Sequence[Summary], cases: Sequence[str]) -> str:
    """Which models run each of these cases."""
    said = []
    for case in cases:
        models = [one.config.model for one in summaries if case in {r.case for r in one.records}]
        said.append(f"{case!r} has answers of {', '.join(models) or 'no model'}")
    return ", ".join(said)
