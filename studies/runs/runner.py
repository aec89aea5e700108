"""Running a study: every case answers the same units, in changing order, and is timed on each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from saccade.backbones.checkpoints.config import language_config
from saccade.backbones.checkpoints.json_files import read_json
from saccade.backbones.families.registry import family_of
from saccade.backbones.loading import load, resolve
from saccade.backbones.model import Model
from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.config.case_controllers import each_controller
from saccade.studies.config.cases import check_study, each_model, model_slug
from saccade.studies.config.study import StudyConfig, plan_units
from saccade.studies.runs.model_folders import MODELS, write_models
from saccade.studies.runs.pool import run_in_pool, threads_of
from saccade.studies.runs.recipe import ROOT, git_state, make_recipe
from saccade.studies.runs.recipe_files import as_grown
from saccade.studies.runs.records import RecordStore, begun_recipe
from saccade.studies.runs.unit_runner import Progress, UnitRunner


def run_study(
    config: StudyConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    threads: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    dtype: str | None = None,
    command: str | None = None,
) -> Path:
    """Run a study, or go on with one that was interrupted.

    Parameters
    ----------
    config : StudyConfig
    out : Path
        Folder of the run; one that holds units of the same recipe is continued, and one with fewer
        samples extended.
    progress : callable, optional
        ``progress(done, total, label)``.
    threads : int, optional
        Threads torch may use meanwhile; None leaves them as they are. Of each process, if there are
        several: its share of the cores by default.
    jobs : int
        Processes that answer units side by side. Measured times then compare cases under the
        same load, which is fair to all, but less exact.
    device, dtype : str, optional
        As in `saccade.load`.
    command : str, optional
        What was typed to start the run, for its recipe.

    Returns
    -------
    Path
        The folder. Of several models each has a folder of its own in it.

    Raises
    ------
    StudyError
        If the study, its questions' pictures or the folder cannot be used as asked, or a case
        cannot run on the model.
    KeyboardInterrupt
        When interrupted: complete units are kept, and running the study again with the same `out`
        goes on from them. The message says how many there are.
    """
    git = git_state(ROOT)  # of the code that is loaded now, whatever is edited meanwhile
    check_study(config)
    for own in config.benchmarks:  # a bad picture may be the last one's
        own.check_pictures(config.samples)
    out = Path(out)
    singles = [_going_on(single, _folder(out, config, single)) for single in each_model(config)]
    for single in singles:  # the last model's turn may come hours after the first's
        _check_capabilities(single)
    if config.models:
        write_models(out, config)
    elif (out / MODELS).exists():
        raise StudyError(f"{out} holds runs of several models; give another --out")
    each = threads_of(jobs, threads)
    with limited_threads(each):
        for number, single in enumerate(singles):
            folder = _folder(out, config, single)
            shared = _shared(progress, number, singles)
            where = {"device": device, "dtype": dtype}
            _run_single(single, folder, git, shared, jobs, each, where, command)
    return out


def _folder(out: Path, config: StudyConfig, single: StudyConfig) -> Path:
    """Where the run of one of a study's models lies."""
    return out / model_slug(single.model) if config.models else out


def _going_on(single: StudyConfig, folder: Path) -> StudyConfig:
    """A study of one model as what its folder holds goes on; `StudyError` if that is damaged."""
    return as_grown(single, begun_recipe(folder))


def _run_single(
    config: StudyConfig,
    out: Path,
    git: Mapping[str, str | None],
    progress: Progress | None,
    jobs: int = 1,
    threads: int | None = None,
    where: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> None:
    """Run a study of one model in its folder; see `run_study`."""
    model = load(config.model, **(where or {}))
    recipe = make_recipe(config, model, git, command)
    if jobs > 1:
        recipe["hardware"]["jobs"] = jobs
    with RecordStore(out, recipe, config) as store:
        try:
            if jobs > 1:
                run_in_pool(config, store, jobs, threads, where or {}, progress)
            else:
                run_here(config, model, store, progress)
        except KeyboardInterrupt:
            total = len(plan_units(config))
            raise KeyboardInterrupt(
                f"interrupted: {len(store.done)} of {total} units are kept in {out}"
            ) from None


def _shared(
    progress: Progress | None, number: int, singles: Sequence[StudyConfig]
) -> Progress | None:
    """Progress of model `number` as part of that of all."""
    if progress is None or len(singles) == 1:
        return progress
    sizes = [len(plan_units(single)) * len(single.cases) for single in singles]
    before, name = sum(sizes[:number]), singles[number].model

    def report(done: int, _total: int, label: str) -> None:
        progress(before + done, sum(sizes), f"{name}: {label}")

    return report


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads in a ``with`` block; None leaves them as they are.

    Raises
    ------
    StudyError
        If `threads` is less than 1.
    """
    if threads is not None and threads < 1:
        raise StudyError(f"threads={threads}: must be 1 or more")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_capabilities(config: StudyConfig) -> None:
    """Raise `StudyError` unless the model, by its config alone, can do what every case asks."""
    folder = resolve(config.model)
    content = read_json(folder / "config.json")
    family = family_of(content, folder)
    spec = family.spec(config.model, language_config(content, family.decoder))
    for case, controller in each_controller(config):
        try:
            if controller is not None:
                controller.check(spec)
        except SaccadeError as error:
            raise StudyError(f"case {case.name!r}: {error}") from error


def run_here(
    config: StudyConfig, model: Model, store: RecordStore, progress: Progress | None
) -> None:
    """Answer what the store does not have yet, unit by unit."""
    units, cases = plan_units(config), len(config.cases)

    def report(answered: int, label: str) -> None:
        if progress is not None:
            progress(len(store.done) * cases + answered, len(units) * cases, label)

    runner = UnitRunner(config, model, report)
    for index, unit in enumerate(units):
        if (unit.task, unit.number) not in store.done:
            store.append(unit, runner.answer(unit, index))
    report(0, "done")
