"""``saccade bench``: how close measured speed-ups come to what the arithmetic allows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer import Option

from saccade.studies.cli.bench_policy import bench_policy
from saccade.studies.cli.consoles import emit, err, note, out, scaled, warn
from saccade.studies.cli.inputs import check_device
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.tracking import TensorBoard, Wandb, asked_sinks, tracked_bench
from saccade.studies.tracking.sink import BENCHES

if TYPE_CHECKING:
    from saccade.controller import Pruner
    from saccade.studies.timing.random_model import Sizes
    from saccade.studies.timing.speedups import Bench

BEFORE = ("tower", "entry")
"""Sites of the pruners that are timed by default: they drop before the stack."""
SIZES = "Sizes of the random model and its request"
POLICY = "A policy on a real model"
REPEATS, PAIRS = 5, 30
"""Times that pruners and policies are timed by default."""
ALONE = ("model", "task", "batch")
"""Options that only go with --policy."""
RANDOM = (
    *("width", "layers", "heads", "mlp", "vocab", "side", "prompt", "gen_length"),
    *("block_length", "steps", "share", "keep", "layer", "signals"),
)
"""Options that only go without it."""


def bench(
    context: typer.Context,
    policy: Annotated[
        str | None,
        Option(
            "--policy",
            "-p",
            metavar="POLICY",
            help="Instead: time this policy, as a call, on --model with the questions of --task.",
            show_default=False,
            rich_help_panel=POLICY,
        ),
    ] = None,
    model: Annotated[
        str,
        Option(
            "--model",
            "-m",
            help="Embedded name, checkpoint folder or hub id.",
            rich_help_panel=POLICY,
        ),
    ] = "embedded/llada-v",
    task: Annotated[
        str, Option(help="Task that is asked; see saccade page.", rich_help_panel=POLICY)
    ] = "describe",
    batch: Annotated[
        int, Option(help="Samples that are answered together.", min=1, rich_help_panel=POLICY)
    ] = 1,
    pruner: Annotated[
        list[str] | None,
        Option(
            "--pruner",
            metavar="PRUNER",
            help="Which visual tokens stay, as a call; may be repeated. Default: all that drop "
            "before the first layer (see saccade pruners); with --policy one, or none.",
            show_default=False,
        ),
    ] = None,
    share: Annotated[
        float, Option(help="Share of the steps that read the whole picture first, 0 to 1.")
    ] = 0.5,
    keep: Annotated[
        float, Option(help="Share of the visual tokens that stays afterwards, 0 to 1.")
    ] = 0.25,
    layer: Annotated[
        int | None,
        Option(
            help="Layer before which tokens go first. Default: where each method acts.",
            min=0,
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        Option(
            help=f"Times that every case is timed. Default: {REPEATS}, with --policy {PAIRS}.",
            min=1,
        ),
    ] = None,
    threads: Annotated[
        int | None, Option(help="Threads of torch. Default: torch's own choice.", min=1)
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, cuda:1; default: a GPU if any.")] = None,
    dtype: Annotated[
        str | None,
        Option(
            help="float32, bfloat16 or float16. Default: float32 on a CPU, else bfloat16, or the "
            "checkpoint's own with --policy.",
        ),
    ] = None,
    attention: Annotated[
        str | None,
        Option(
            help="What computes attention: sdpa (torch), flash (flash-attn, on a GPU in half "
            "precision) or eager.  [default: sdpa]",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        int, Option(help="Width of the decoder.", min=2, rich_help_panel=SIZES)
    ] = 1024,
    layers: Annotated[int, Option(help="Its layers.", min=1, rich_help_panel=SIZES)] = 8,
    heads: Annotated[int, Option(help="Its attention heads.", min=1, rich_help_panel=SIZES)] = 8,
    mlp: Annotated[int, Option(help="Width of its MLP.", min=1, rich_help_panel=SIZES)] = 3072,
    vocab: Annotated[int, Option(help="Its vocabulary.", min=2, rich_help_panel=SIZES)] = 256,
    side: Annotated[
        int,
        Option(help="Visual tokens along a side: 27 is 729 of them.", min=1, rich_help_panel=SIZES),
    ] = 27,
    prompt: Annotated[int, Option(help="Prompt tokens.", min=1, rich_help_panel=SIZES)] = 64,
    gen_length: Annotated[int, Option(help="Response tokens.", min=1, rich_help_panel=SIZES)] = 32,
    block_length: Annotated[
        int | None,
        Option(help="Tokens per block. Default: one block.", min=1, rich_help_panel=SIZES),
    ] = None,
    steps: Annotated[
        int, Option(help="Denoising steps over all blocks.", min=1, rich_help_panel=SIZES)
    ] = 8,
    signals: Annotated[
        bool,
        Option(
            "--signals",
            help="Instead: which share of an answer's time measuring takes, on the CPU in float32; "
            "sizes, --repeats and --threads apply.",
        ),
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON array.")] = False,
    wandb: Wandb = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Time pruners on a random model, and count the speed-up that their arithmetic allows.

    A model of LLaDA-V's shape is made in memory with random weights: its answers mean nothing, but
    a step costs what it would in a trained model of these sizes. The same request is answered
    without and with each pruner, in changing order. The ideal is the ratio of the exact
    multiply-accumulates of both: what the speed-up would be if nothing else took time.

    Well below 100 % of the ideal, time goes elsewhere: choosing the tokens, moving memory, work
    too small to fill the processor. With small sizes that is most of it; the default ones are
    large enough for arithmetic to dominate, and take some minutes on a CPU. Above 100 %, fewer rows
    ran at a better rate, or something else ran on the machine: where the least and the most lie far
    apart, keep it idle, and raise --repeats.

    With --policy, that policy is timed instead, on an embedded model or a checkpoint: every repeat
    answers other questions of the task, once without a controller and once with it, in alternating
    order. The speed-up has a 95 % interval over the repeats.
    """
    _check_together(context, policy)
    sink = asked_sinks(BENCHES, wandb, tensorboard)
    if policy is not None:
        return bench_policy(
            policy,
            pruner,
            model=model,
            task=task,
            batch=batch,
            repeats=repeats or PAIRS,
            threads=threads,
            device=device,
            dtype=dtype,
            attention=attention,
            as_json=as_json,
            sink=sink,
        )
    from saccade.controller.policies import AfterShare
    from saccade.studies.timing.random_model import Sizes
    from saccade.studies.timing.speedups import run_bench

    schedule, repeats = AfterShare(share, keep, layer), repeats or REPEATS
    sizes = Sizes(width, layers, heads, mlp, vocab, side, prompt, gen_length, steps, block_length)
    if layer is not None and layer >= layers:
        raise ValueError(f"--layer {layer}: the model has {layers} layers, 0 to {layers - 1}")
    if signals:
        alone = {"--pruner": pruner, "--device": device, "--dtype": dtype}
        alone |= {"--attention": attention}
        _check_alone(alone | {"--wandb": wandb, "--tensorboard": tensorboard})
        return _signals(sizes, repeats, threads, as_json)
    with Steps(err()) as bar:
        result = run_bench(
            schedule,
            _typed(pruner) if pruner else _at_entry(),
            sizes,
            repeats,
            bar.update,
            threads=threads,
            device=check_device(device),
            dtype=dtype,
            attention=attention or "sdpa",
        )
    for name, reason in result.skipped.items():
        note(f"{name} is left out: {reason}")
    if as_json:
        emit(result.rows())
    else:
        _show(result, out())
    tracked_bench(sink, result.rows())


def _check_together(context: typer.Context, policy: str | None) -> None:
    """Raise `ValueError` for options that would have no effect."""
    for name in ALONE if policy is None else RANDOM:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            option = f"--{name.replace('_', '-')}"
            if policy is None:
                raise ValueError(f"{option} goes with --policy; give one, or leave {option} out")
            raise ValueError(f"{option} goes with a random model, not with --policy: leave it out")


def _check_alone(given: dict[str, Any]) -> None:
    """Raise `ValueError` for options that say nothing about what signals cost."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} goes with timing pruners; --signals measures on the CPU in float32: leave "
                "it out"
            )


def _signals(sizes: "Sizes", repeats: int, threads: int | None, as_json: bool) -> None:
    """Show what measuring signals costs."""
    from saccade.studies.timing.signals import signals_cost

    with Steps(err()) as bar:
        rows = signals_cost(sizes, repeats, bar.update, threads=threads).rows()
    if as_json:
        return emit(rows)
    from saccade.studies.reports.bench_tables import signals_table
    from saccade.studies.reports.terminal import print_table

    print_table(signals_table(rows), out())


def _typed(specs: list[str]) -> "list[tuple[str, Pruner]]":
    from saccade.controller import parse_pruner

    return [(spec.strip(), parse_pruner(spec)) for spec in specs]


def _at_entry() -> "list[tuple[str, Pruner]]":
    """Every registered pruner that acts before the stack; a note names those that need options."""
    from saccade.controller.registry import pruners

    found: list[tuple[str, Pruner]] = []
    names, problems = pruners.usable()
    for name in names:
        try:
            found += _usual(name)
        except Exception as error:  # of another package, which may break in any way
            if pruners.origin(name) == "Saccade":
                raise
            problems.append(f"{name} of {pruners.origin(name)}: {type(error).__name__}: {error}")
    for problem in problems:
        warn(f"left out: {problem}")
    return found


def _usual(name: str) -> "list[tuple[str, Pruner]]":
    """A pruner without options, if it acts before the stack; a note if it needs some."""
    from saccade.controller.member_options import options_of
    from saccade.controller.registry import pruners

    factory = pruners.factory(name)
    required = [option.name for option in options_of(factory) if option.required]
    if not required:
        member = pruners.make(name)
        return [(name, member)] if member.site in BEFORE else []
    if getattr(factory, "site", "entry") in BEFORE:
        example = ", ".join(f"{key}=..." for key in required)
        note(f"{name} is left out: it needs options, --pruner '{name}({example})'")
    return []


def _show(result: "Bench", console: Console) -> None:
    from saccade.studies.reports.bench_tables import pruners_table
    from saccade.studies.reports.terminal import print_notes, print_table

    rows = result.rows()
    setup, sizes = rows[0], rows[0]["sizes"]
    whole = setup["attention_map_bytes"] / 1e6
    table = pruners_table(rows)
    print_table(table, console)
    console.print(
        Text(
            f"{sizes['layers']} layers x {sizes['width']}, {scaled(setup['parameters'])} "
            f"parameters, {setup['dtype']} on {setup['device']}, threads: {setup['threads']}. "
            f"{setup['visual_tokens']} visual, {sizes['prompt']} prompt and {sizes['gen_length']} "
            f"response tokens, {sizes['steps']} steps, repeats: {len(setup['seconds'])}. "
            f"The whole attention map of one layer would take {whole:.1f} MB."
        )
    )
    print_notes(table.helps(), console)
