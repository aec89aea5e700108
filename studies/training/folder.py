"""The folder of a training run: one run in it, by one process at a time, described by a recipe."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from saccade.controller.errors import StudyError
from saccade.studies.runs.files import lock_folder
from saccade.studies.runs.recipe import ROOT, Recipe, git_state, hardware, versions
from saccade.studies.runs.recipe_files import check_recipe, differences, read_recipe, write_recipe
from saccade.studies.training.config import TrainConfig
from saccade.studies.training.progress import LOG, STATE

RECIPE = "training.json"
BINDING = ("config", "workers")
"""What must stay as it was to go on: the pages that are drawn follow from it."""
FREE = ("init", "device", "versions", "hardware", "git")


def training_recipe(
    config: TrainConfig, device: str, workers: int, begin: Mapping[str, str] | None = None
) -> Recipe:
    """Describe a training that is about to start, in plain values that survive JSON unchanged.

    `begin` are the hashes of the files of the checkpoint it begins from.
    """
    started = {} if begin is None else {"init": dict(begin)}
    recipe = {
        **started,
        "config": config.model_dump(mode="json"),
        "workers": workers,
        "seed": config.seed,
        "device": device,
        "versions": versions(),
        "hardware": hardware(),
        "git": git_state(ROOT),
    }
    plain: Recipe = json.loads(json.dumps(recipe))
    return plain


@contextmanager
def claimed(folder: Path, recipe: Recipe) -> Iterator[tuple[str, ...]]:
    """Hold a folder for one training; it is made if there is none.

    Its ``training.json`` keeps the recipe the run began with, and under "resumed" what was
    different each time it went on. A run that saved no state binds nobody and is replaced.

    Yields
    ------
    tuple of str
        Dotted names of what is different from the time before, such as "versions.torch".

    Raises
    ------
    StudyError
        If another process has the folder, it holds a training of another configuration or number
        of workers, is damaged, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOG, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {error.strerror}") from error
    try:
        lock_folder(file, folder)
        if (folder / STATE).exists():
            yield _go_on(folder, recipe)
        else:
            if (folder / RECIPE).exists():  # else the log is not of a training
                os.ftruncate(file, 0)
            write_recipe(folder / RECIPE, recipe)
            yield ()
    finally:
        os.close(file)


def _go_on(folder: Path, recipe: Recipe) -> tuple[str, ...]:
    before = read_recipe(folder / RECIPE)
    if before is None or not all(name in before for name in BINDING):
        raise StudyError(
            f"{folder} holds a {STATE}, but no {RECIPE} that says of which training; give another "
            "--out"
        )
    check_recipe(folder, *({name: r[name] for name in BINDING} for r in (before, recipe)))
    resumed = before.get("resumed", [])
    then, now = ({name: r.get(name) for name in FREE} for r in ([before, *resumed][-1], recipe))
    changed = differences(then, now)
    if changed:
        write_recipe(folder / RECIPE, before | {"resumed": [*resumed, now]})
    return tuple(changed)
