"""A search from its configuration to its result: one folder, one study, one preset."""

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.backbones.checkpoints.fingerprint import fingerprint
from saccade.backbones.loading import load
from saccade.backbones.model import Model
from saccade.controller.errors import StudyError
from saccade.controller.preset_learned import learned_files
from saccade.studies.config.tuning import TuneConfig
from saccade.studies.runs.files import lock_folder, replacing
from saccade.studies.runs.first_settings import first_settings
from saccade.studies.runs.tune_result import Project, make_result
from saccade.tuning.errors import TuneError, storage_errors
from saccade.tuning.evaluate import Evaluation
from saccade.tuning.search import Job, work
from saccade.tuning.space import (
    Space,
    default_narrowing,
    default_policies,
    default_pruners,
)
from saccade.tuning.splits import split_samples
from saccade.tuning.storage import default_url, shown
from saccade.tuning.study import give_up, queue_first, running
from saccade.tuning.workers import work_together

if TYPE_CHECKING:
    from optuna import Study

CONFIG, RESULT, PRESET, LOCK = "tune.json", "result.json", "preset.json", ".lock"
SPENT = "spent"
"""Attribute of the study: the budget in seconds that was used up."""
Tell = Callable[["Study", Job, float], None]
"""Told of the study, the job and the time at which the search began."""


def make_evaluation(config: TuneConfig, split: str, model: Model | None = None) -> Evaluation:
    """The samples of a split, and the model that answers them."""
    own, task = model or load(config.model), config.task_object()
    n = getattr(config.samples, split)
    return Evaluation(
        own,
        split_samples(task, split, n, config.seed),
        settings_for(config, own),
        label_free=config.label_free,
        batch=config.batch,
        seed=config.seed,
    )


def settings_for(config: TuneConfig, model: Model) -> dict[str, Any]:
    """The task's lengths in the words of the model's family."""
    task = config.task_object()
    lengths = (task.gen_length, task.block_length, task.steps)
    return dict(model.family.settings.for_lengths(*lengths))


def run_tuning(
    config: TuneConfig,
    folder: Path,
    url: str | None = None,
    study_name: str | None = None,
    tell: Tell | None = None,
    command: str = "",
    measure: bool = True,
    project: Project | None = None,
) -> dict[str, Any]:
    """Search, or go on with it, and write the result.

    Parameters
    ----------
    config : TuneConfig
    folder : Path
        Gets ``tune.json``, ``result.json``, ``preset.json``, and the database unless `url` is
        given.
    url, study_name : str, optional
        Another storage, and the study's name in it.
    tell : callable, optional
        See `Tell`.
    command : str
        What the preset says made it.
    measure : bool
        Whether the front's latency is measured.
    project : callable, optional
        See `Project`; without it nothing is said of the published model's size.

    Returns
    -------
    dict
        What ``result.json`` holds.

    Raises
    ------
    TuneError, StudyError
        Saying what is wrong; nothing that was finished is lost.
    KeyboardInterrupt
        After the trials at work have been queued again.
    """
    own_url = default_url(folder) if url is None else url
    with _folder(folder):
        _check_folder(folder, own_url, study_name or config.name)
        model = load(config.model)
        test = make_evaluation(config, "test", model)
        _check_samples(config, test)
        job = make_job(config, model, own_url, study_name or config.name)
        study = job.open()
        content = {"config": config.model_dump(mode="json"), "storage": url, "study": job.study}
        _write(folder / CONFIG, content, private=url is not None)
        began = time.time()
        with storage_errors(shown(job.url)):
            if url is None:  # the folder is ours alone: whoever was at work is gone
                for trial in running(study):
                    give_up(study, trial)
            queue_first(study, job.space, job.goal, job.first)
        job = _timed(job, config, study)
        final = job
        watch = None if tell is None else (lambda study: tell(study, final, began))
        _search(job, config, model, watch)
        with storage_errors(shown(job.url)):
            if config.seconds is not None:
                study.set_user_attr(SPENT, config.seconds)
            of = _origin(job, config, study, measure)
            before = _result_of(folder, of)
            if before is not None:
                return before
            result = make_result(study, job.goal, test, config, command, measure, project, folder)
        preset = result.pop("preset_object")
        preset.write(folder / PRESET)
        _write(folder / RESULT, result | {"of": of, "digest": _digest(result)})
        return result


def _origin(job: Job, config: TuneConfig, study: "Study", measure: bool) -> str:
    """What a result rests on, as one hash: of the same nothing has to be made again."""
    numbers = [t.number for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    parts = [job.study, job.url, job.recipe, config.samples.test, config.name, config.kind]
    return _digest({"parts": parts, "numbers": numbers, "measure": measure})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _result_of(folder: Path, of: str) -> dict[str, Any] | None:
    """The result that a folder holds; None if it is another one's, was changed or is incomplete."""
    found = _read(folder / RESULT)
    if found is None or not (folder / PRESET).is_file():
        return None
    origin, digest = found.pop("of", None), found.pop("digest", None)
    return found if origin == of and digest == _digest(found) else None


def _check_folder(folder: Path, url: str, study: str) -> None:
    """Refuse a folder that holds the results of another search."""
    if not (folder / CONFIG).exists():
        return
    try:
        _, there, name = read_run(folder)
    except TuneError:  # damaged: nothing that could be lost
        return
    if (there, name) != (url, study):
        raise TuneError(
            f"{folder} holds the search {name!r} in {shown(there)}, not {study!r} in {shown(url)}; "
            "give another --out"
        )


def _check_samples(config: TuneConfig, test: Evaluation) -> None:
    """Read every picture once, so that a damaged one is known before the search."""
    if config.benchmark is None:
        return
    n, task = config.samples.tune, config.task_object()
    for sample in (*split_samples(task, "tune", n, config.seed), *test.samples):
        sample.images  # noqa: B018  # read now; the error names the line


def make_job(config: TuneConfig, model: Model, url: str, name: str) -> Job:
    """All that workers have to know."""
    policies, narrowing = list(config.policies), dict(config.space)
    if not policies:
        policies = default_policies(model.spec)
        narrowing = default_narrowing(policies, model.spec) | narrowing
    pruners = list(config.pruners) or default_pruners(policies, model.spec)
    space = Space(policies, pruners, narrowing)
    best = 1.0
    if config.benchmark is not None and not config.label_free:
        from saccade.studies.tasks.metrics import metrics

        best = metrics.make(config.benchmark.metric).range[1]
    return Job(
        url,
        name,
        _recipe(config, model, space),
        config.goal,
        policies,
        pruners,
        narrowing,
        first_settings(model, config.baselines),
        functools.partial(make_evaluation, config, "tune"),
        trials=config.trials,
        best=best,
    )


def _recipe(config: TuneConfig, model: Model, space: Space) -> dict[str, Any]:
    task: dict[str, Any] = {"name": config.task_object().name}
    if config.benchmark is not None:
        data = config.benchmark.file.read_bytes()
        task |= {"sha256": hashlib.sha256(data).hexdigest(), "metric": config.benchmark.metric}
    files = [file for policy in config.policies for file in learned_files(policy)]
    learned = {f: hashlib.sha256(Path(f).expanduser().read_bytes()).hexdigest() for f in files}
    return ({"learned": learned} if learned else {}) | {
        "backbone": fingerprint(model.network),
        "task": task,
        "settings": settings_for(config, model),
        "samples": {"tune": config.samples.tune, "seed": config.seed, "batch": config.batch},
        "label_free": config.label_free,
        "goal": config.goal.plain(),
        "space": space.plain(),
    }


def _timed(job: Job, config: TuneConfig, study: "Study") -> Job:
    """The job with the time at which it ends: what earlier runs took counts."""
    from dataclasses import replace

    if config.seconds is None:
        return job
    spent = sum(
        trial.duration.total_seconds()
        for trial in study.get_trials(deepcopy=False)
        if trial.duration is not None
    )
    spent = max(spent / config.workers, study.user_attrs.get(SPENT, 0.0))
    return replace(job, until=time.time() + max(0.0, config.seconds - spent))


def _search(
    job: Job, config: TuneConfig, model: Model, watch: "Callable[[Study], None] | None"
) -> None:
    if config.workers == 1:
        work(job, make_evaluation(config, "tune", model), watch=watch)
    else:
        work_together(job, config.workers, watch)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder that this process has alone; errors of its disk say that nothing is lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise TuneError(f"{folder} cannot be used: {error.strerror}; give another --out") from None
    try:
        try:
            lock_folder(file, folder)
        except StudyError as error:
            raise TuneError(str(error)) from None
        yield
    finally:
        os.close(file)


def _write(path: Path, content: Mapping[str, Any], private: bool = False) -> None:
    """Write JSON; `private`, which may hold a storage's password, for this user's eyes alone."""
    try:
        with replacing(path) as partial:
            if private:
                partial.touch(mode=0o600)
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TuneError(
            f"{path} cannot be written: {error.strerror}; the trials are kept: run the same "
            "command again when there is room"
        ) from None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def read_run(folder: Path) -> tuple[TuneConfig, str, str]:
    """Configuration, address of the storage and name of the study of a run's folder.

    Raises
    ------
    TuneError
        If it is none.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise TuneError(f"{folder} is no folder of a search: it has no {CONFIG}")
    content = _read(path) or {}
    storage, study = content.get("storage"), content.get("study")
    if not isinstance(study, str) or not isinstance(storage, str | None):
        raise TuneError(f"{path} is damaged: it needs config, study and storage, as texts or null")
    try:
        config = TuneConfig.model_validate(content.get("config"))
    except ValueError as error:
        raise TuneError(f"{path} is damaged: {error}") from error
    return config, default_url(folder) if storage is None else storage, study
