"""``saccade bench --policy``: how much faster a policy answers the questions of a task."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from saccade.studies.cli.consoles import emit, err, out
from saccade.studies.cli.inputs import check_device, load_model
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.tracking import tracked_bench

if TYPE_CHECKING:
    from saccade.controller import Controller
    from saccade.studies.tracking.apart import Apart


def bench_policy(
    policy: str,
    pruner: list[str] | None,
    *,
    model: str,
    task: str,
    batch: int,
    repeats: int,
    threads: int | None,
    device: str | None,
    dtype: str | None,
    attention: str | None,
    as_json: bool,
    sink: "Apart | None" = None,
) -> None:
    """Time a policy on a model, and show its speed-up.

    Raises
    ------
    ValueError
        If several pruners are given, or a text describes no policy or pruner.
    UnknownNameError
        For an unknown task, listing the known.
    """
    from saccade.studies.runs.runner import limited_threads
    from saccade.studies.tasks import tasks
    from saccade.studies.timing.policies import time_policy

    if pruner and len(pruner) > 1:
        raise ValueError(f"--policy is timed with one pruner; give one of {', '.join(pruner)}")
    asked, controller = tasks.make(task), _controller(policy, pruner[0] if pruner else None)
    with limited_threads(threads), Steps(err()) as bar:
        own = load_model(model, dtype, check_device(device), attention=attention)
        timing = time_policy(
            own, controller, asked, batch=batch, repeats=repeats, progress=bar.update
        )
    row = timing.row()
    if as_json:
        emit([row])
    else:
        _show(row, out())
    tracked_bench(sink, [row])


def _controller(policy: str, pruner: str | None) -> "Controller":
    """What the two texts describe; attention is measured only where the policy reads it."""
    from saccade.controller import Controller

    return Controller(policy, pruner, probe="needed")


def _show(row: dict[str, Any], console: Console) -> None:
    from saccade.studies.reports.bench_tables import policy_table
    from saccade.studies.reports.terminal import print_notes, print_table

    table = policy_table(row)
    print_table(table, console)
    console.print(
        Text(
            f"{row['model']}, {row['dtype']} on {row['device']}, threads: {row['threads']}, "
            f"samples in a batch: {row['batch']}, repeats: {row['repeats']}."
        )
    )
    print_notes(table.helps(), console)
