"""What calibrations have in common: their options, and the requests that they measure on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from saccade.studies.cli.inputs import open_picture

if TYPE_CHECKING:
    from saccade.backbones import Model, Prepared
    from saccade.studies.tasks import Task

ModelName = Annotated[
    str, Option("--model", "-m", help="Embedded model, checkpoint folder or hub id.")
]
Images = Annotated[
    list[Path] | None,
    Option(
        "--image",
        help="A picture of your own instead of documents; may be repeated.",
        exists=True,
    ),
]
Question = Annotated[
    str | None,
    Option("--prompt", help="The question about your pictures.", show_default=False),
]
Length = Annotated[
    int | None, Option(help="Response tokens. Default: those of the task, or 32.", min=1)
]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object.")]
OWN_LENGTH = 32
"""Response tokens for pictures of one's own."""


def check_own(image: list[Path] | None, prompt: str | None) -> None:
    """Raise `ValueError` unless pictures come with a question, or neither is there."""
    if bool(image) != (prompt is not None):
        raise ValueError("give --image and --prompt together, or neither for documents")
    if prompt is not None and not prompt.strip():
        raise ValueError("--prompt is empty; give a question")


def task_named(name: str, samples: int, option: str = "--kind") -> "Task":
    """A task that has so many samples; `ValueError` if there is none."""
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks import tasks

    if name not in tasks:
        raise ValueError(unknown_name(option, name, tasks))
    task = tasks.make(name)
    if task.n_samples is not None and samples > task.n_samples:
        raise ValueError(f"--samples {samples}: the kind {name!r} has {task.n_samples}; give fewer")
    return task


def own_requests(model: "Model", images: Sequence[Path], prompt: str) -> "list[Prepared]":
    """One question about each of the user's pictures."""
    return [model.prepare(prompt, [open_picture(path)]) for path in images]
