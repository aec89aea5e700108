"""``saccade calibrate``: measure on a model what a method or policy has to be told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from typer import Option

from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.inputs import load_model, open_picture
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade import backbones
    from saccade.backbones import Prepared

Model = Annotated[str, Option("--model", "-m", help="Embedded model, checkpoint folder or hub id.")]
Kind = Annotated[str, Option(help="Kind of the documents that are asked about; see saccade page.")]
Samples = Annotated[int, Option(help="How many documents.", min=1)]
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
    int | None, Option(help="Response tokens. Default: those of the kind, or 32.", min=1)
]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object.")]

calibrate = typer.Typer(
    cls=ListingGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Measure on a model what a method has to be told.",
    epilog="Example: saccade calibrate vtw --model embedded/llada-v --samples 20",
)


@calibrate.callback()
def group() -> None:
    """Measure on a model what a method has to be told."""


@calibrate.command(epilog="Example: saccade calibrate vtw --kind describe --eta 0.01")
def vtw(
    model: Model = "embedded/llada-v",
    kind: Kind = "transcribe",
    samples: Samples = 20,
    image: Images = None,
    prompt: Question = None,
    length: Length = None,
    eta: Annotated[
        float, Option(help="Largest divergence that counts as the same prediction, in nats.", min=0)
    ] = 0.003,
    first: Annotated[
        int | None, Option(help="First layer that is tried. Default: 5 of 32.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search the layer from which on VTW can withdraw all visual tokens.

    For every layer, the prediction of the first step without visual tokens from there on is
    compared with the full one; the first layer whose mean divergence is within --eta is it. It is
    used as --policy 'vtw(layer=LAYER)'.
    """
    from saccade.tuning.vtw import find_layer

    own, inputs, length = _ready(model, kind, samples, image, prompt, length)
    with Steps(err()) as bar:
        found = find_layer(
            own,
            inputs,
            length=length,
            eta=eta,
            first=first,
            progress=lambda done, total: bar.update(done, total, "forwards"),
        )
    rows = list(zip(found.layers, found.divergence, strict=True))
    if as_json:
        divergence = [{"layer": layer, "divergence": value} for layer, value in rows]
        emit({"layer": found.layer, "eta": eta, "samples": len(inputs), "layers": divergence})
    else:
        table = Table("before layer", "divergence (nats)", box=None, header_style="bold")
        for layer, value in rows:
            style = "bold" if layer == found.layer else None
            table.add_row(str(layer), f"{value:.6f}", style=style)
        out().print(table)
    if found.layer is None:
        least = min(found.divergence)
        raise ValueError(
            f"no layer is within eta={eta}: the least divergence is {least:.6f} nats, before "
            f"layer {found.layers[found.divergence.index(least)]}; give a larger --eta, or do "
            "without VTW"
        )
    if not as_json:
        note(f"use --policy 'vtw(layer={found.layer})'")


@calibrate.command(
    "layer-skip", epilog="Example: saccade calibrate layer-skip --model embedded/lavida-dream"
)
def layer_skip(
    model: Model = "embedded/llada-v",
    kind: Kind = "transcribe",
    samples: Samples = 20,
    image: Images = None,
    prompt: Question = None,
    length: Length = None,
    limit: Annotated[
        float, Option(help="Largest divergence that counts as the same prediction, in nats.", min=0)
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Search layers that visual tokens can skip.

    Every layer is skipped alone, and the prediction of the first step compared with the full one;
    then, from the least harmful on, layers are skipped together while the mean divergence stays
    within --limit. The result is used as --policy 'layer_skip(layers=(4, 5))' or
    'auto(layers=(4, 5))'.
    """
    from saccade.controller import Auto, LayerSkip
    from saccade.tuning.layer_skip import find_layers

    own, inputs, length = _ready(model, kind, samples, image, prompt, length)
    with Steps(err()) as bar:
        found = find_layers(
            own,
            inputs,
            length=length,
            limit=limit,
            progress=lambda done, total: bar.update(done, total, "forwards"),
        )
    if as_json:
        sets = [{"layers": list(layers), "divergence": value} for layers, value in found.steps]
        alone = [{"layer": i, "divergence": v} for i, v in enumerate(found.divergence)]
        emit(
            {
                "layers": list(found.layers),
                "limit": limit,
                "samples": len(inputs),
                "alone": alone,
                "together": sets,
            }
        )
        return
    table = Table("layers skipped", "divergence (nats)", box=None, header_style="bold")
    for layer, value in enumerate(found.divergence):
        table.add_row(str(layer), f"{value:.6f}")
    for layers, value in found.steps[1:]:
        style = "bold" if layers == found.layers else None
        table.add_row(", ".join(map(str, layers)), f"{value:.6f}", style=style)
    out().print(table)
    if found.layers:
        auto = "" if own.spec.origin == "autoregressive" else f", or {Auto(layers=found.layers)}"
        note(f"use --policy '{LayerSkip(layers=found.layers)}'{auto}")
    else:
        note(f"no layer is within limit={limit}: give a larger --limit, or skip none")


def _ready(
    model: str,
    kind: str,
    samples: int,
    image: list[Path] | None,
    prompt: str | None,
    length: int | None,
) -> "tuple[backbones.Model, list[Prepared], int]":
    """A model, what it is asked, and how long its answers are."""
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks import tasks

    if bool(image) != (prompt is not None):
        raise ValueError("give --image and --prompt together, or neither for documents")
    if kind not in tasks:
        raise ValueError(unknown_name("--kind", kind, tasks))
    there = tasks.make(kind).n_samples
    if not image and there is not None and samples > there:
        raise ValueError(f"--samples {samples}: the kind {kind!r} has {there}; give fewer")
    if prompt is not None and not prompt.strip():
        raise ValueError("--prompt is empty; give a question")
    own = load_model(model)
    note("preparing")
    inputs = _own(own, image, prompt) if image and prompt else _documents(own, kind, samples)
    return own, inputs, length or (32 if image else tasks.make(kind).gen_length)


def _own(model: "backbones.Model", images: list[Path], prompt: str) -> "list[Prepared]":
    return [model.prepare(prompt, [open_picture(path)]) for path in images]


def _documents(model: "backbones.Model", kind: str, samples: int) -> "list[Prepared]":
    from saccade.studies.tasks import tasks

    found = tasks.make(kind).samples(range(samples), split="train")
    return [model.prepare(sample.question, sample.images) for sample in found]
