"""``saccade presets``: list, show, re-measure and export them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.preset_make import make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saccade.controller.preset import Preset
    from saccade.studies.timing.preset_check import Line

presets = typer.Typer(
    cls=ListingGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Settings that were tuned for a model and a task: list, show, check and export them.",
    epilog="Example: saccade presets show embedded/llada-v/long",
)
Name = Annotated[
    str, Argument(metavar="NAME|PATH", help="A shipped name, a file, its folder, or a hub id.")
]
AsJson = Annotated[bool, Option("--json", help="Print JSON.")]
FAILED, SAMPLES = 1, 40


@presets.callback()
def group() -> None:
    """Settings that were tuned for a model and a task."""


presets.command(
    "make",
    epilog="Example: saccade presets make --task describe --policy 'auto()' --out mine.json",
)(make)


@presets.command("list", epilog="Example: saccade presets list --json")
def list_presets(as_json: AsJson = False) -> None:
    """List the presets that come with the package, each made by the command that it names.

    Score kept is a share of the unpruned model's; ideal and measured are speed-ups.
    """
    from saccade.controller.preset_names import find_preset, shipped_presets

    found = {name: find_preset(name).preset for name in shipped_presets()}
    if as_json:
        return emit([_row(name, preset) for name, preset in found.items()])
    heads = ("name", "task", "policy", "score kept", "ideal", "measured", "certificate")
    table = Table(*heads, box=None, header_style="bold")
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max(map(len, found), default=0)
    for name, preset in found.items():
        row = _row(name, preset)
        figures = (row["score_relative"], row["ideal"], row["measured"])
        shown = ("" if value is None else f"{value:.2f}" for value in figures)
        words = (
            name,
            row["task"],
            row["policy"],
            *shown,
            row["certificate"] or "none",
        )
        table.add_row(*map(Text, words))
    out().print(table)


def _row(name: str, preset: "Preset") -> dict[str, Any]:
    from saccade.controller.preset import FrontPoint

    certificate, front = preset.certificate, preset.front
    said = None
    if certificate is not None:
        said = f"{certificate.max_change:.3g} at {certificate.confidence:.3g}"
    if preset.abstained:  # what was measured is not what it does
        said, front = "abstained", FrontPoint()
    return {
        "name": name,
        "task": preset.task.name,
        "class": preset.task.kind,
        "backbone": preset.backbone.name,
        "policy": "none" if preset.abstained else preset.policy,
        "pruner": None if preset.abstained else preset.pruner,
        "score_relative": front.score_relative,
        "ideal": front.ideal,
        "measured": front.measured,
        "certificate": said,
    }


@presets.command(epilog="Example: saccade presets show embedded/llada-v/long")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show all that a preset says: its setting, what it was made on, figures and certificate."""
    from saccade.controller.preset_names import find_preset

    preset = find_preset(name).preset
    content = preset.model_dump(mode="json", by_alias=True)
    if as_json:
        return emit(content)
    table = Table(show_header=False, box=None)
    for key, value in _flat(content):
        table.add_row(Text(key, style="dim"), Text(value))
    out().print(table)
    if preset.certificate is not None:
        out().print(Text(preset.certificate.sentence()))


def _flat(content: dict[str, Any]) -> "list[tuple[str, str]]":
    """Rows of what is known, parts of a part in one line."""
    rows = []
    for key, value in content.items():
        if isinstance(value, dict):
            known = {k: v for k, v in value.items() if v not in (None, "", [])}
            known.pop("tested", None)
            value = ", ".join(f"{k} {_plain_value(v)}" for k, v in known.items())
        rows.append((key, "none" if value in (None, "") else str(value)))
    return rows


def _plain_value(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {one}" for key, one in value.items()) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@presets.command(epilog="Example: saccade presets check embedded/llada-v/long --samples 20")
def check(
    name: Name,
    samples: Annotated[
        int | None,
        Option(
            help=f"Of the test set.  [default: {SAMPLES}, or all that a file has]",
            min=2,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option("--model", "-m", help="Default: the embedded model that the preset was made on."),
    ] = None,
    benchmark: Annotated[
        Path | None,
        Option(help="Questions of your own, JSON lines, where the task is no built-in one."),
    ] = None,
    label_free: Annotated[
        bool,
        Option(
            "--label-free",
            help="Score by agreement with the unpruned answer. Default: as the preset was scored.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a preset's figures again, and say whether they hold. If not, the exit code is 1.

    A preset that was tuned label-free is scored by agreement with the unpruned model's answers,
    and its questions need no right ones.
    """
    from saccade.controller import Controller
    from saccade.studies.cli.generate_parts import preset_model, promised
    from saccade.studies.cli.inputs import load_model
    from saccade.studies.cli.preset_inputs import preset_task
    from saccade.studies.cli.progress import Steps
    from saccade.studies.runs.device import device_of
    from saccade.studies.timing.front_point import front_point
    from saccade.studies.timing.preset_check import Line, compare

    controller = Controller.from_preset(name)
    preset = promised(controller)
    if preset.abstained:
        raise ValueError(
            f"the preset {preset.name!r} does nothing, as its certificate abstained: there is "
            "nothing to check; certify it with more samples, another target or another setting"
        )
    free = label_free or preset.front.scored_by == "agreement"
    task = preset_task(preset, None, benchmark, labels=not free)
    asked = _test_samples(task, samples, preset.splits.seed)
    own = load_model(preset_model(preset) if model is None else model)
    same = _same_backbone(preset, own)
    lines: Sequence[Line] = [Line("backbone", None, None, same, "" if same else "another one")]
    if same:
        controller.promise = None
        with Steps(err()) as bar:
            now = front_point(
                own,
                controller,
                asked,
                dict(preset.generation),
                label_free=free,
                progress=lambda done, total: bar.update(done, total, "samples"),
            )
        here = device_of(own)
        lines = [*lines, *compare(preset.front, now, preset.device, here, len(asked))]
    holds = all(line.holds is not False for line in lines)
    if as_json:
        emit({"holds": holds, "figures": [_plain(line) for line in lines]})
    else:
        _show_lines(lines)
        out().print("The figures hold." if holds else "The figures do not hold here.")
    if not holds:
        raise typer.Exit(FAILED)


def _test_samples(task: Any, asked: int | None, seed: int) -> Any:
    """So many of the test set, or `SAMPLES`, or all that there are."""
    from saccade.tuning.splits import split_indices, split_samples

    n = min(SAMPLES, len(split_indices(task, "test", seed))) if asked is None else asked
    if n < 1:
        raise ValueError(f"the task {task.name!r} has too few questions for a test set")
    return split_samples(task, "test", n, seed)


def _same_backbone(preset: "Preset", model: Any) -> bool:
    from saccade.backbones.checkpoints.fingerprint import fingerprint

    return fingerprint(model.network) == preset.backbone.hash


def _plain(line: "Line") -> dict[str, Any]:
    return {
        "name": line.name,
        "before": line.before,
        "now": line.now,
        "holds": line.holds,
        "why": line.why,
    }


def _show_lines(lines: "Sequence[Line]") -> None:
    table = Table("figure", "in the preset", "now", "", box=None, header_style="bold")
    for line in lines:
        word = {True: "holds", False: "does not hold", None: "not compared"}[line.holds]
        figures = ("" if value is None else f"{value:.4g}" for value in (line.before, line.now))
        said = f"{word}: {line.why}" if line.why else word
        table.add_row(*map(Text, (line.name, *figures, said)))
    out().print(table)


@presets.command(epilog="Example: saccade presets export embedded/llada-v/long mine")
def export(
    name: Name,
    folder: Annotated[Path, Argument(metavar="DIR", help="Made if it is not there.")],
    title: Annotated[
        str | None, Option("--name", help="Another name for it.", show_default=False)
    ] = None,
) -> None:
    """Write a preset, and the learned model that it reads, into a folder to share or to upload."""
    from saccade.controller.preset_controller import learned_file
    from saccade.controller.preset_files import FILE
    from saccade.controller.preset_names import find_preset

    found = find_preset(name)
    preset = found.preset
    if title is not None:
        plain = preset.model_dump(mode="json", by_alias=True)
        preset = preset.load_text(plain | {"name": title}, "--name")
    learned = None
    if preset.learned is not None:
        learned = learned_file(preset, found.folder, found.root).read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    names = [FILE, *([preset.learned.file] if preset.learned is not None else [])]
    there = [one for one in names if (folder / one).exists()]
    if there:
        raise ValueError(f"{folder} has a {there[0]} already; give another folder, or remove it")
    if preset.learned is not None and learned is not None:
        (folder / preset.learned.file).write_bytes(learned)
    file = preset.write(folder / FILE)
    note(f"written to {file}; use it as --preset {folder}, or upload the folder to the hub")
