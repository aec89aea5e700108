"""``saccade calibrate``: measure on a model what a method or policy has to be told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from typer import Option

from saccade.studies.cli.calibrate_inputs import (
    OWN_LENGTH,
    AsJson,
    Images,
    Length,
    ModelName,
    Question,
    check_own,
    own_requests,
    task_named,
)
from saccade.studies.cli.calibrate_layers import layer_skip
from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.groups import ListingGroup
from saccade.studies.cli.inputs import load_model
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from saccade.backbones import Model, Prepared

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
    model: ModelName = "embedded/llada-v",
    kind: Annotated[
        str,
        Option(
            "--kind",
            "--task",
            help="Kind of the documents that are asked about; see saccade page.",
        ),
    ] = "transcribe",
    samples: Annotated[int, Option(help="How many documents.", min=1)] = 20,
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


calibrate.command(
    "layer-skip", epilog="Example: saccade calibrate layer-skip --model embedded/lavida-dream"
)(layer_skip)


def _ready(
    model: str,
    kind: str,
    samples: int,
    image: list[Path] | None,
    prompt: str | None,
    length: int | None,
) -> "tuple[Model, list[Prepared], int]":
    """A model, what it is asked, and how long its answers are."""
    check_own(image, prompt)
    task = task_named(kind, 0 if image else samples)
    own = load_model(model)
    note("preparing")
    if image and prompt:
        return own, own_requests(own, image, prompt), length or OWN_LENGTH
    found = task.samples(range(samples), split="train")
    inputs = [own.prepare(sample.question, sample.images) for sample in found]
    return own, inputs, length or task.gen_length
