"""``saccade presets make``: a preset of a setting that is typed, measured on the test set."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from saccade.studies.cli.consoles import err, note
from saccade.studies.cli.inputs import check_output, load_model

if TYPE_CHECKING:
    from saccade.backbones import Model
    from saccade.controller.preset import FrontPoint
    from saccade.studies.tasks import Task


def make(
    task: Annotated[str, Option(help="What is asked; see saccade page --kind.")],
    policy: Annotated[str, Option("--policy", "-p", help="As a call; none: the bare model.")],
    write_to: Annotated[Path, Option("--out", help="The preset's file.")],
    pruner: Annotated[
        str | None, Option(help="As a call. Default: that of the policy, if any.")
    ] = None,
    name: Annotated[
        str | None, Option(help="Of the preset. Default: the file's.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        Option(
            "--class",
            help="Of the answers: short, long or free.  [default: short below 6 steps, else long]",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str, Option("--model", "-m", help="Embedded name, checkpoint folder or hub id.")
    ] = "embedded/llada-v",
    samples: Annotated[int, Option(help="Of the test set.", min=2)] = 100,
    seed: Annotated[int, Option(help="Of the three sets of samples.", min=0)] = 0,
) -> None:
    """Make a preset of a setting that you know, without a search: measure it on the test set.

    Nothing is promised about it; saccade certify tests that.
    """
    from saccade.controller import Controller
    from saccade.controller.names import not_allowed
    from saccade.controller.preset import Preset, Search, Splits, TaskClass
    from saccade.controller.preset_learned import take_along
    from saccade.studies.cli.environment import versions
    from saccade.studies.runs.backbone import backbone_of
    from saccade.studies.runs.device import device_of
    from saccade.studies.tasks import tasks
    from saccade.studies.tasks.answer_classes import CLASSES, answer_class

    check_output(write_to)
    if kind is not None and kind not in CLASSES:
        raise ValueError(not_allowed("--class", kind, CLASSES))
    controller, asked = Controller(policy, pruner), tasks.make(task)
    own, begun = load_model(model), time.perf_counter()
    settings = own.family.settings.for_lengths(asked.gen_length, asked.block_length, asked.steps)
    front = _measured(own, controller, asked, samples, seed, dict(settings))
    title = write_to.stem if name is None else name
    answers: Any = kind or answer_class(asked.steps)
    words = ["saccade", "presets", "make", "--task", task, "--policy", policy]
    words += [] if pruner is None else ["--pruner", pruner]
    words += ["--name", title, "--class", answers, "--model", model]
    words += ["--samples", str(samples), "--seed", str(seed)]
    policy, learned = take_along(policy, write_to.parent)
    made = Preset(
        name=title,
        policy=policy,
        pruner=pruner,
        learned=learned,
        backbone=backbone_of(own),
        task=TaskClass(name=asked.name, kind=answers),
        generation=dict(settings),
        device=device_of(own),
        front=front,
        splits=Splits(seed=seed, test=samples),
        search=Search(seconds=round(time.perf_counter() - begun, 1), command=shlex.join(words)),
        versions=versions(),
    )
    note(f"written to {made.write(write_to)}")


def _measured(
    model: "Model",
    controller: Any,
    task: "Task",
    samples: int,
    seed: int,
    settings: dict[str, Any],
) -> "FrontPoint":
    from saccade.studies.cli.progress import Steps
    from saccade.studies.timing.front_point import front_point
    from saccade.tuning.splits import split_samples

    asked: Any = split_samples(task, "test", samples, seed)
    with Steps(err()) as bar:
        return front_point(
            model,
            controller,
            asked,
            settings,
            progress=lambda done, total: bar.update(done, total, "samples"),
        )
