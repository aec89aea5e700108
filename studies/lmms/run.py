"""Running a study over benchmarks: cell by cell, each on its own, as far as it is not done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.controller.errors import StudyError
from saccade.studies.config.cases import model_slug
from saccade.studies.lmms.assemble import assemble
from saccade.studies.lmms.cells import Cell, How, cells_of, is_done, run_cell
from saccade.studies.lmms.config import LmmsStudy, check_study
from saccade.studies.lmms.judge import Judge, judged, needs_judge
from saccade.studies.lmms.on_ray import run_on_ray
from saccade.studies.runs.model_folders import write_models
from saccade.studies.runs.records import begun_recipe

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a study.

    Attributes
    ----------
    folder : Path
    failed : list of str
        What went wrong, a cell each.
    finished : list of str
        Models with at least one task that all cases have answered.
    """

    folder: Path
    failed: list[str]
    finished: list[str]


def run_lmms_study(
    study: LmmsStudy,
    out: str | Path,
    progress: Progress | None = None,
    *,
    dtype: str | None = None,
    how: How | None = None,
    judge: Judge | None = None,
    ray: str | None = None,
) -> Outcome:
    """Run a study over benchmarks, or go on with one.

    Parameters
    ----------
    study : LmmsStudy
    out : Path
        What is there already, of the same cases and tasks, is not asked again.
    progress : callable, optional
        ``progress(done, total, label)``, in cells.
    dtype : str, optional
        As in `saccade.load`.
    how : How, optional
    judge : Judge, optional
        For tasks whose answers a judge scores.
    ray : str, optional
        Address of a cluster of Ray that runs the cells; "local" starts one here.

    Returns
    -------
    Outcome
        A cell that fails does not end the others; its task has no records until it is repaired.

    Raises
    ------
    StudyError
        If the study cannot be run as asked: before anything is.
    """
    check_study(study)
    out = Path(out)
    _check_folder(study, out)
    cells = {
        model: cells_of(study, model, _own(study, model, out), dtype) for model in study.models
    }
    if len(study.models) > 1:
        config = study.as_study(study.models[0], {"any": 1})
        write_models(out, config.model_copy(update={"models": study.models}))
    every = [cell for own in cells.values() for cell in own]
    waiting = [cell for cell in every if not is_done(cell)]
    failed: list[str] = []
    told = _counted(progress, len(every) - len(waiting), len(every))
    apart = [] if ray is None else [cell for cell in waiting if not needs_judge(cell.task)]
    here = [cell for cell in waiting if cell not in apart]  # where the judge's server is
    with judged(here, judge, out, how or How()) as (ready, check):
        if ray is not None and apart:
            failed += run_on_ray(apart, how or How(), ray, told)
        failed += run_here(here, ready, check, lambda n, label: told(len(apart) + n, label))
    finished = [
        model
        for model, own in cells.items()
        if assemble(study, model, own, _own(study, model, out))
    ]
    return Outcome(out, failed, finished)


def _own(study: LmmsStudy, model: str, out: Path) -> Path:
    """Where what belongs to one of a study's models lies."""
    return out / model_slug(model) if len(study.models) > 1 else out


def run_here(
    cells: Sequence[Cell],
    how: How,
    check: Callable[[Cell], None],
    told: Callable[[int, str], None],
) -> list[str]:
    """Run cells one after the other; gives what went wrong."""
    failed = []
    for number, cell in enumerate(cells):
        told(number, cell.label)
        try:
            run_cell(cell, how, check)
        except StudyError as error:
            failed.append(str(error))
    told(len(cells), "done")
    return failed


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int, str], None]:
    def told(done: int, label: str) -> None:
        if progress is not None:
            progress(before + done, total, label)

    return told


def _check_folder(study: LmmsStudy, out: Path) -> None:
    """Refuse a folder that holds a study of our own tasks."""
    there = begun_recipe(out)
    if there is not None and "lmms" not in there:
        raise StudyError(f"{out} holds a study of other tasks; give another --out")
