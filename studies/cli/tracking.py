"""``--wandb`` and ``--tensorboard``, the same for every command that has results."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option
from typer.core import TyperCommand

from saccade.studies.cli.consoles import err, note, warn

if TYPE_CHECKING:
    from saccade.studies.tracking.apart import Apart
    from saccade.studies.tracking.sink import TrackedRun

PROJECT, FLAG = "saccade", "--wandb"
PANEL = "Trackers"
Wandb = Annotated[
    str | None,
    Option(
        FLAG,
        metavar="[PROJECT]",
        help="Show the results in wandb, too: PROJECT or ENTITY/PROJECT, default: saccade. Without "
        "credentials they are written into the results' folder, to be sent later.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TensorBoard = Annotated[
    Path | None,
    Option(
        "--tensorboard",
        metavar="DIR",
        help="Write them into this log folder of TensorBoard, too.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


class TrackedCommand(TyperCommand):
    """A command whose ``--wandb`` may stand without a project."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare ``--wandb`` the default project."""
        return list(super().parse_args(ctx, with_project(args)))


def with_project(args: list[str]) -> list[str]:
    """Words of a command in which ``--wandb`` has a project."""
    end = args.index("--") if "--" in args else len(args)
    words: list[str] = []
    for place, word in enumerate(args):
        words.append(word)
        alone = place + 1 >= end or args[place + 1].startswith("-")
        if word == FLAG and place < end and alone:
            words.append(os.environ.get("WANDB_PROJECT") or PROJECT)
    return words


def asked_sinks(
    folder: Path,
    wandb: str | None,
    tensorboard: Path | None,
    tell: Callable[[str], None] = warn,
) -> "Apart | None":
    """Trackers that were asked for, checked before anything is run; None without any.

    Raises
    ------
    ImportError, ValueError
        See `open_sinks`.
    """
    if wandb is None and tensorboard is None:
        return None
    from saccade.studies.tracking.track import open_sinks

    return open_sinks(folder, wandb, tensorboard, tell)


def send_tracked(sink: "Apart | None", make: Callable[[], "Iterable[TrackedRun]"]) -> None:
    """Send what a command found, after its results are written and shown; see `send_all`."""
    if sink is None:
        return
    from saccade.studies.tracking.track import send_all

    with err().status("[dim]telling the tracker (Ctrl-C leaves it)[/]"):
        try:
            notes = send_all(make, sink, sink.tell)
        except KeyboardInterrupt:
            notes = ("the tracker was left; the same command sends what is missing",)
    for own in notes:
        note(own)


def tracked_study(folder: Path, sink: "Apart | None", beside: Path | None) -> None:
    """Send the results of a study's folder."""

    def make() -> "Iterable[TrackedRun]":
        from saccade.studies.analysis.summary import summarise_all
        from saccade.studies.tracking.from_study import study_runs

        return study_runs(summarise_all(folder), beside=beside)

    send_tracked(sink, make)


def tracked_bench(sink: "Apart | None", rows: Sequence[Mapping[str, Any]]) -> None:
    """Send the rows of a bench."""

    def make() -> "Iterable[TrackedRun]":
        from saccade.studies.tracking.from_bench import bench_runs

        return bench_runs(rows)

    send_tracked(sink, make)
