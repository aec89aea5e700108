"""``saccade generate``: one question about one or several pictures."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from saccade.studies.cli.answer import Answer
from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.inputs import check_device, check_output, load_model, open_picture
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.specs import make

if TYPE_CHECKING:
    from PIL import Image

    from saccade.controller import Controller

DEFAULT_PRUNER = "divprune"


def generate(
    image: Annotated[Path, Argument(metavar="IMAGE", help="The picture.")],
    question: Annotated[str, Argument(metavar="QUESTION", help="What to ask about it.")],
    more: Annotated[
        list[Path] | None,
        Option("--image", help="One more picture; may be repeated.", metavar="IMAGE"),
    ] = None,
    model: Annotated[
        str, Option("--model", "-m", help="Embedded name, checkpoint folder or hub id.")
    ] = "embedded/llada-v",
    policy: Annotated[
        str, Option("--policy", "-p", help="How much is kept, and when: NAME:key=value,...")
    ] = "keep",
    pruner: Annotated[
        str | None,
        Option(
            "--pruner",
            help="Which visual tokens stay: NAME:key=value,... Default where the policy drops: "
            f"{DEFAULT_PRUNER}.",
            show_default=False,
        ),
    ] = None,
    gen_length: Annotated[int, Option(help="Response tokens.", min=1)] = 64,
    block_length: Annotated[
        int | None, Option(help="Tokens per block. Default: one block.", min=1)
    ] = None,
    steps: Annotated[
        int | None,
        Option(help="Denoising steps over all blocks. Default: one for every 2 tokens.", min=1),
    ] = None,
    temperature: Annotated[float, Option(help="0 is greedy.", min=0.0)] = 0.0,
    remasking: Annotated[
        str, Option(help="What is committed first: low_confidence or random.")
    ] = "low_confidence",
    cfg_scale: Annotated[float, Option(help="Classifier-free guidance; 0 is off.", min=0.0)] = 0.0,
    stop: Annotated[
        list[str] | None, Option(help="End the answer before this text; may be repeated.")
    ] = None,
    seed: Annotated[int | None, Option(help="Makes random choices repeatable.")] = None,
    think_mode: Annotated[
        str | None, Option(help="think or no_think: suffixes that LLaDA-V was trained with.")
    ] = None,
    dtype: Annotated[
        str | None, Option(help="float32, bfloat16 or float16. Default: float32 on a CPU.")
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, cuda:1; default: a GPU if any.")] = None,
    revision: Annotated[str | None, Option(help="Branch, tag or commit on the hub.")] = None,
    probe: Annotated[
        bool,
        Option(help="Measure the attention to the picture in every layer (costs a little time)."),
    ] = True,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[
        Path | None, Option(help="Write one JSON line per step to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Ask a question about a picture, and show what the answer cost.

    The answer is denoised in several steps. A policy says how many visual tokens each step keeps,
    a pruner says which; by default all are kept. The answer is printed first, then the time, the
    exact work done and the visual tokens that every step really read.

    The embedded models answer the questions of `saccade page --kind ...` about its pages, each
    with the lengths and steps that it prints.
    """
    if not question.strip():
        raise ValueError("the question is empty; ask something")
    pictures = [open_picture(path) for path in (image, *(more or []))]
    if trace is not None:
        check_output(trace)
    block_length = gen_length if block_length is None else block_length
    blocks = max(1, gen_length // block_length)
    settings = {
        "gen_length": gen_length,
        "block_length": block_length,
        "steps": blocks * max(1, block_length // 2) if steps is None else steps,
        "temperature": temperature,
        "remasking": remasking,
        "cfg_scale": cfg_scale,
        "stopping_criteria": stop or [],
        "seed": seed,
    }
    controller = _controller(policy, pruner, probe)
    where = {"name": model, "dtype": dtype, "revision": revision}
    answer = _answer(where, device, controller, settings, question, pictures, think_mode)
    if as_json:
        emit(answer.to_json())
    else:
        answer.show(out())
    if not answer.generation.tokens:
        note("the model's answer is empty")
    if trace is not None:
        answer.trace.to_jsonl(trace)


def _controller(policy_spec: str, pruner_spec: str | None, probe: bool) -> "Controller":
    from saccade.controller import Controller, Keep
    from saccade.controller.registry import policies, pruners

    policy = make(policies, policy_spec)
    drops = not isinstance(policy, Keep)
    wanted = DEFAULT_PRUNER if pruner_spec is None and drops else pruner_spec
    pruner = None if wanted is None else make(pruners, wanted)
    if pruner_spec is None and drops:
        note(f"no --pruner given: {DEFAULT_PRUNER} chooses which visual tokens stay")
    elif pruner_spec is not None and not drops:
        note("the policy keep drops nothing, so the pruner is never asked")
    return Controller(policy, pruner, probe="all" if probe else "needed")


def _answer(
    where: dict[str, Any],
    device: str | None,
    controller: "Controller",
    settings: dict[str, Any],
    question: str,
    pictures: list["Image.Image"],
    think_mode: str | None,
) -> Answer:
    from saccade.backbones import GenerateSettings

    GenerateSettings.from_options(settings)  # wrong settings before a large model is loaded
    started = time.perf_counter()
    model = load_model(device=check_device(device), **where)
    controller.check(model.spec)
    loaded = time.perf_counter()
    inputs = model.prepare(question, pictures, think_mode=think_mode)
    with Steps(err(), transient=True) as bar:
        generation = model.generate(
            inputs=inputs,
            controller=controller,
            callback=lambda view: bar.update(view.step + 1, settings["steps"], "denoising"),
            **settings,
        )
    seconds = time.perf_counter() - loaded
    return Answer(model, controller, generation, settings, loaded - started, seconds)
