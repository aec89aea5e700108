"""A study's results in a notebook: tables, fronts and comparisons as pandas tables."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.controller.errors import StudyError, UnknownNameError
from saccade.controller.names import not_allowed, unknown_name
from saccade.studies.analysis.paired import paired_change, paired_speedup
from saccade.studies.analysis.pareto import pareto_front
from saccade.studies.analysis.summary import COLUMNS, Row, Summary, summarise_all
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
    "score",
    "score_baseline",
    "change",
    "change_se",
    "broke",
    "fixed",
    "answers_changed",
    "speedup",
    "speedup_low",
    "speedup_high",
    "speedup_ideal",
)
Key = tuple[int, int]


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
            Columns `COMPARED`: samples; mean score of both; mean change of the score over the same
            samples, with its standard error; samples that the case scores lower (``broke``) or
            higher (``fixed``) than the baseline; share of the answers whose text differs; and the
            time of the baseline over the case's, paired by unit, with its 95 % interval, and the
            ratio of their exact multiply-accumulates. NaN: not defined.

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
    for task in summary.config.tasks:
        answers = [r for r in summary.records if r.task == task]
        own, bare = (_by_sample(answers, name) for name in (case, baseline))
        shared = sorted(own.keys() & bare.keys())
        if shared:
            pairs = [(own[key], bare[key]) for key in shared]
            yield {"model": summary.config.model, "task": task, **_paired(pairs)}


def _by_sample(records: Sequence[Record], case: str) -> dict[Key, Record]:
    return {(r.seed, r.sample): r for r in records if r.case == case}


def _paired(pairs: Sequence[tuple[Record, Record]]) -> dict[str, Any]:
    """Figures of a case and a baseline over the same samples."""
    n = len(pairs)
    scores = [{(r.seed, r.sample): r.score for r in side} for side in zip(*pairs, strict=True)]
    change, change_se = paired_change(scores[1], scores[0])
    times = [
        {r.unit: r.seconds + r.prepare_seconds for r in side} for side in zip(*pairs, strict=True)
    ]
    speedup, low, high = paired_speedup(times[1], times[0])
    work = [sum(r.macs + r.prepare_macs for r in side) for side in zip(*pairs, strict=True)]
    return {
        "n": n,
        "score": sum(scores[0].values()) / n,
        "score_baseline": sum(scores[1].values()) / n,
        "change": change,
        "change_se": change_se,
        "broke": sum(own.score < bare.score for own, bare in pairs),
        "fixed": sum(own.score > bare.score for own, bare in pairs),
        "answers_changed": sum(own.answer != bare.answer for own, bare in pairs) / n,
        "speedup": speedup,
        "speedup_low": low,
        "speedup_high": high,
        "speedup_ideal": work[1] / work[0],
    }


def _who_has(summaries: Sequence[Summary], cases: Sequence[str]) -> str:
    """Which models run each of these cases."""
    said = []
    for case in cases:
        models = [one.config.model for one in summaries if case in {r.case for r in one.records}]
        said.append(f"{case!r} has answers of {', '.join(models) or 'no model'}")
    return ", ".join(said)
