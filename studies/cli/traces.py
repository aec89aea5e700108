"""``saccade traces``: what would have happened, for schedules to be learned from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.tuning.counterfactuals import Experiment

traces = typer.Typer(
    cls=ListingGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Collect what would have happened, for schedules to be learned from.",
    epilog="Example: saccade traces collect --task code --samples 50 --out runs/traces",
)
KEEPS, COMMITS = "0.75,0.5,0.25,0.1,0", "0.8,0.95"
TASKS = ("code", "transcribe", "describe")
"""The kinds of documents whose answers are long enough for a schedule."""


@traces.callback()
def group() -> None:
    """Collect what would have happened, for schedules to be learned from."""


@traces.command(
    epilog="Example: saccade traces collect --task code --samples 50 --skip 4,5 --out runs/traces"
)
def collect(
    folder: Annotated[
        Path, Option("--out", "-o", help="Folder of the table; one that is there is continued.")
    ],
    model: Annotated[
        str, Option("--model", "-m", help="Embedded model, checkpoint folder or hub id.")
    ] = "embedded/llada-v",
    task: Annotated[
        list[str] | None,
        Option(
            help=f"Kind of documents; may be repeated.  [default: {', '.join(TASKS)}]",
            show_default=False,
        ),
    ] = None,
    benchmark: Annotated[
        Path | None, Option(help="Questions of your own: JSON lines.", exists=True, dir_okay=False)
    ] = None,
    gen_length: Annotated[int, Option(help="Response tokens of --benchmark.", min=1)] = 32,
    block_length: Annotated[
        int | None, Option(help="Tokens a block of --benchmark. Default: one block.", min=1)
    ] = None,
    steps: Annotated[int, Option(help="Denoising steps of --benchmark.", min=1)] = 16,
    metric: Annotated[str, Option(help="Metric of --benchmark.")] = "exact",
    samples: Annotated[int, Option("--samples", "-n", help="Samples a task.", min=1)] = 50,
    keep: Annotated[
        str, Option(help="Keep ratios to try, with commas; none: no tokens are dropped.")
    ] = KEEPS,
    skip: Annotated[
        list[str] | None,
        Option(
            help="Layers that can be skipped, such as 4,5; may be repeated.", show_default=False
        ),
    ] = None,
    commit: Annotated[
        str, Option(help="Confidences to commit at, with commas; none: by the schedule alone.")
    ] = COMMITS,
    at: Annotated[
        str, Option(help="Where to try: shares of the steps, with commas; 0 is the second step.")
    ] = "0,0.125,0.25,0.5,0.75",
    pruner: Annotated[
        str | None, Option(help="Which tokens stay.  [default: redvtp(rows='all')]")
    ] = None,
    label_free: Annotated[
        bool,
        Option(
            "--label-free",
            help="Score by agreement with the unpruned answer; questions need no right ones.",
        ),
    ] = False,
    seed: Annotated[int, Option(help="Of samples and random choices.", min=0)] = 0,
    workers: Annotated[int, Option("--workers", "-w", help="Processes.", min=1)] = 1,
    threads: Annotated[int, Option(help="Threads of each process.", min=1)] = 1,
    device: Annotated[str | None, Option(help="Such as cpu or cuda:0.")] = None,
    dtype: Annotated[str | None, Option(help="Such as float32 or bfloat16.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the unpruned model, and from chosen steps on every action: does the answer change?

    A table of what was known before each step, and of what came of each action. It can be stopped
    at any time and goes on with the same command; more --samples or another --task extend it.
    """
    from saccade.studies.cli.inputs import check_device, model_family
    from saccade.studies.cli.traces_source import TraceSource
    from saccade.tuning.collecting import collect as run
    from saccade.tuning.trace_table import TraceTable

    experiment = experiment_of(keep, skip or (), commit, at, pruner, label_free, seed)
    check_device(device)
    where = tuple((k, v) for k, v in (("device", device), ("dtype", dtype)) if v is not None)
    names = tuple(task) if task else (() if benchmark else TASKS)
    lengths = (gen_length, block_length, steps)
    source = TraceSource(model, names, benchmark, lengths, metric, where, label_free)
    source.make_tasks()
    model_family(model)
    try:
        with Steps(err()) as bar:
            new = run(
                source,
                folder,
                experiment,
                n=samples,
                name=model,
                workers=workers,
                threads=threads,
                progress=lambda done, total: bar.update(done, total, "samples"),
            )
    except KeyboardInterrupt:
        note(f"interrupted: what was collected is kept in {folder}; the same command goes on")
        raise typer.Exit(130) from None
    frame = TraceTable(folder).read()
    changed = float(frame["changed"].mean())
    if as_json:
        emit({"out": str(folder), "new": new, "rows": len(frame), "changed": changed})
        return
    out().print(
        f"{len(frame)} rows in {folder}, {new} samples of them new; {changed:.1%} of the "
        "continuations changed the answer",
        highlight=False,
    )
    note(f"learn from it: saccade learn {folder} -o {folder.parent / 'learned'}")


def experiment_of(
    keep: str,
    skip: "list[str] | tuple[str, ...]",
    commit: str,
    at: str,
    pruner: str | None,
    label_free: bool,
    seed: int,
) -> "Experiment":
    """What is tried, from the options; errors name the option."""
    from saccade.controller.expressions import parse_pruner
    from saccade.controller.learned.actions import all_actions
    from saccade.controller.text_form import written
    from saccade.tuning.counterfactuals import PRUNER, Experiment

    keeps, commits = _numbers("--keep", keep), _numbers("--commit", commit)
    layers = [[int(number) for number in _numbers("--skip", text, whole=True)] for text in skip]
    actions = all_actions([own for own in keeps if own != 1], layers, commits)
    chooser = written(parse_pruner(PRUNER if pruner is None else pruner))
    drops = any(action.keep < 1 for action in actions)
    shares = tuple(_numbers("--at", at))
    return Experiment(actions, shares, chooser if drops else None, label_free, seed)


def _numbers(option: str, text: str, whole: bool = False) -> list[float]:
    """Numbers with commas between them; "none" or nothing for none."""
    if text.strip().lower() in ("", "none"):
        return []
    kind = "layers" if whole else "numbers from 0 to 1"
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text!r}: give {kind} with commas between, or none") from None
    wrong = [own for own in found if not (own >= 0 and (own.is_integer() if whole else own <= 1))]
    if wrong:
        raise ValueError(f"{option} {text!r}: {wrong[0]:g} is not allowed; give {kind}")
    return found
