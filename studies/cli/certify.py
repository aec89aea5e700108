"""``saccade certify``: a promise about how many answers a preset changes."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.percent import parse_percent

if TYPE_CHECKING:
    from saccade.backbones import Model
    from saccade.controller.preset import Preset
    from saccade.controller.preset_names import Found
    from saccade.studies.tasks import Task
    from saccade.tuning.losses import Loss

SAMPLES = 300


def certify(
    preset: Annotated[
        str,
        Argument(
            metavar="PRESET|DIR",
            help="A preset's file, a folder with preset.json and its front, or a shipped name.",
        ),
    ],
    max_change: Annotated[
        str, Option(help="How much may change at most: 5% or 0.05.", metavar="SHARE")
    ] = "5%",
    confidence: Annotated[
        str, Option(help="How sure the promise has to be: 90% or 0.9.", metavar="SHARE")
    ] = "90%",
    samples: Annotated[
        int | None,
        Option(
            help=f"Of the certify set.  [default: {SAMPLES}, or all that a file has]",
            min=1,
            show_default=False,
        ),
    ] = None,
    loss: Annotated[
        str,
        Option(help="changed: answers that differ; or edits, lost, anls: how much of them does."),
    ] = "changed",
    model: Annotated[
        str | None,
        Option("--model", "-m", help="Default: the embedded model that the preset was made on."),
    ] = None,
    task: Annotated[str | None, Option(help="Default: the task of the preset.")] = None,
    benchmark: Annotated[
        Path | None,
        Option(help="Questions of your own, JSON lines, where the task is no built-in one."),
    ] = None,
    write_to: Annotated[
        Path | None,
        Option("--out", help="Where the certified preset goes. Default: the preset's own file."),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Test how many answers a preset changes, on samples that no search has seen.

    The front of a folder is tested from its safest setting on, until one fails; the last that
    passed is promised, and its certificate is written into the preset. If none passes, the
    certificate says so and how many samples it would take, and the preset does nothing.
    """
    from saccade.controller.preset_learned import carried
    from saccade.studies.cli.generate_parts import preset_model
    from saccade.studies.cli.inputs import load_model
    from saccade.studies.cli.preset_inputs import check_target, front_of, preset_task
    from saccade.studies.cli.progress import Steps
    from saccade.tuning.certify import Target
    from saccade.tuning.certify import certify as run

    alpha = parse_percent("--max-change", max_change)
    delta = round(1 - parse_percent("--confidence", confidence), 12)
    kind = _loss(loss)
    front = front_of(preset)
    first = front[0].preset
    file = check_target(preset, write_to)
    own_task = preset_task(first, task, benchmark, kind.labels)
    n = _samples(own_task, samples, first)
    _note_least(n, alpha, delta, kind)
    name = preset_model(first) if model is None else model
    own = load_model(name)
    command = _command(preset, max_change, confidence, n, loss)
    target, front = Target(alpha, delta, kind, n), _with_settings(front, own, own_task)
    with Steps(err()) as bar:
        made = run(own, own_task, front, target, command=command, progress=bar.update)
    assert made.certificate is not None
    if as_json:
        emit(made.certificate.model_dump(mode="json"))
    else:
        _show(made, front)
    source = next((f for f in front if f.preset.policy == made.policy), front[0])
    made = carried(made, source.folder, file.parent, source.root)
    made.write(file)  # after it is shown: a full disk must not lose what took so long
    note(f"written to {file}")


def _loss(name: str) -> "Loss":
    """A loss of ours by name, or that of the metric ANLS against the unpruned answer."""
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks.scoring import anls
    from saccade.tuning.losses import LOSSES, Loss

    known = LOSSES | {
        "anls": Loss("anls", "1 - ANLS.", False, lambda bare, own: 1 - anls(own.text, bare.text))
    }
    if name not in known:
        raise ValueError(unknown_name("--loss", name, known))
    return known[name]


def _with_settings(front: "list[Found]", model: "Model", task: "Task") -> "list[Found]":
    """The front; presets that name no settings get the task's, as a certificate is for some."""
    lengths = (task.gen_length, task.block_length, task.steps)
    settings = dict(model.family.settings.for_lengths(*lengths))
    return [
        one
        if one.preset.generation
        else one._replace(preset=one.preset.model_copy(update={"generation": settings}))
        for one in front
    ]


def _samples(task: "Task", asked: int | None, preset: "Preset") -> int:
    from saccade.tuning.splits import split_indices

    if asked is not None:
        return asked
    there = len(split_indices(task, "certify", preset.splits.seed))
    if there == 0:
        raise ValueError(f"the task {task.name!r} has too few questions for a certify set")
    return min(SAMPLES, there)


def _note_least(n: int, alpha: float, delta: float, loss: "Loss") -> None:
    """Say beforehand if so few samples cannot be enough, whatever they show."""
    from saccade.tuning.certificates import samples_needed

    least = samples_needed(0.0, alpha, delta, binary=loss.binary)
    if least is not None and n < least:
        note(f"{n} samples cannot show this even if nothing changes: {least} are the least")


def _command(preset: str, max_change: str, confidence: str, n: int, loss: str) -> str:
    words = ["saccade", "certify", Path(preset).name if Path(preset).exists() else preset]
    words += ["--max-change", max_change, "--confidence", confidence]
    return shlex.join([*words, "--samples", str(n), "--loss", loss])


def _show(preset: "Preset", front: "list[Found]") -> None:
    from rich.table import Table
    from rich.text import Text

    found = preset.certificate
    assert found is not None
    table = Table("policy", "pruner", "loss", "p", "", box=None, header_style="bold")
    for one in found.tested:
        verdict = "passed" if one.passed else "failed"
        cells = (one.policy, one.pruner or "", f"{one.loss:.4f}", f"{one.p_value:.3g}", verdict)
        table.add_row(*map(Text, cells))
    console = out()
    console.print(table)
    rest = len(front) - len(found.tested)
    if rest:
        console.print(Text(f"{rest} more settings of the front were not tested."))
    console.print(Text(f"null rate: {found.null.loss:.4f} of {found.null.n} samples"))
    console.print(Text(found.sentence()))
