"""Sources of traces that processes can make: the tiny model, and its task of made-up pages."""

from collections.abc import Sequence
from pathlib import Path

from saccade.backbones import Model
from saccade.controller.learned.actions import all_actions
from saccade.tuning.collecting import collect
from saccade.tuning.counterfactuals import Experiment
from tests.tuning.tiny_task import PageTask, word_model

EXPERIMENT = Experiment(all_actions((0.5, 0.25), [(1, 2)], (0.5,)), shares=(0.0, 0.5))
ROWS = 2 * 11
"""Of each sample: two steps, 11 actions."""


def tiny_source() -> tuple[Model, Sequence[PageTask]]:
    return word_model(), [PageTask(), PageTask(n_samples=30, name="few pages", shared=2)]


def dying_source() -> tuple[Model, Sequence[PageTask]]:
    """Of a process that ends as if it had been killed, unless it is the first."""
    import multiprocessing
    import os

    if multiprocessing.parent_process() is not None:
        os._exit(9)
    return tiny_source()


def failing_source() -> tuple[Model, Sequence[PageTask]]:
    """Of samples that cannot be made, but for the first."""

    class Failing(PageTask):
        def samples(self, indices: Sequence[int], seed: int = 0, split: str = "") -> list:  # type: ignore[type-arg]
            if indices[0] % 1_000_000:
                raise ValueError("this page is blank")
            return super().samples(indices, seed)

    return word_model(), [Failing()]


def collected(folder: Path, n: int = 6, **options: object) -> Path:
    """A table of the tiny tasks."""
    given: dict[str, object] = {"name": "tiny", **options}
    collect(tiny_source, folder, EXPERIMENT, n=n, **given)  # type: ignore[arg-type]
    return folder
