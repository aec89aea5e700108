"""``saccade generate``: one question about one or several pictures."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from saccade.studies.cli.consoles import emit, err, note, out
from saccade.studies.cli.generate_parts import (
    DEFAULT_PRUNER,
    check_known,
    length_settings,
    preset_controller,
    preset_model,
    preset_settings,
    promised,
    refuse_beside_preset,
    typed_controller,
    warn_on_other_terms,
)
from saccade.studies.cli.inputs import (
    check_device,
    check_output,
    check_prompt,
    load_model,
    model_family,
    open_picture,
)
from saccade.studies.cli.progress import Steps
from saccade.studies.cli.typed_options import options_from

if TYPE_CHECKING:
    from PIL import Image

    from saccade.backbones import Model, Prepared, StepView
    from saccade.backbones.decoding.step_view import Callback
    from saccade.controller import Controller
    from saccade.studies.cli.answer import AnswerView, BareAnswer

STREAMED = 40
"""Letters of the text so far that are shown while it is written."""


def generate(
    image: Annotated[Path, Argument(metavar="IMAGE", help="The picture.")],
    question: Annotated[str, Argument(metavar="QUESTION", help="What to ask about it.")],
    more: Annotated[
        list[Path] | None,
        Option("--image", help="One more picture; may be repeated.", metavar="IMAGE"),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            help="Embedded name, checkpoint folder or hub id.  [default: embedded/llada-v, or the "
            "embedded model of --preset]",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        Option(
            "--policy",
            "-p",
            help="How much is kept, and when, as a call: after_share(0.5, keep=0.25). auto: "
            "decides by the model's signals; none: the bare model.  [default: auto]",
            show_default=False,
        ),
    ] = None,
    pruner: Annotated[
        str | None,
        Option(
            "--pruner",
            help='Which visual tokens stay, as a call: fastv(queries="all"). Default where the '
            f"policy drops and does not bring one: {DEFAULT_PRUNER}.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(
            help="Policy, pruner and lengths of a preset: a name of saccade presets list, a file, "
            "its folder, or a hub id.",
            metavar="NAME|PATH",
        ),
    ] = None,
    positions: Annotated[
        str | None,
        Option(
            help="original, or compact: the arithmetic of published caches.  [default: original]",
            show_default=False,
        ),
    ] = None,
    gen_length: Annotated[
        int | None, Option(help="Response tokens.  [default: 64]", min=1, show_default=False)
    ] = None,
    block_length: Annotated[
        int | None, Option(help="Tokens per block. Default: one block.", min=1)
    ] = None,
    steps: Annotated[
        int | None,
        Option(help="Denoising steps over all blocks. Default: one for every 2 tokens.", min=1),
    ] = None,
    temperature: Annotated[float, Option(help="0 is greedy.", min=0.0)] = 0.0,
    remasking: Annotated[
        str | None, Option(help="LLaDA-V: what is committed first, low_confidence or random.")
    ] = None,
    cfg_scale: Annotated[
        float | None, Option(help="LLaDA-V: classifier-free guidance; 0 is off.", min=0.0)
    ] = None,
    extra: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="OPTION=VALUE",
            help="Another option of the model's generate, such as prefix_lm=false or alg=entropy "
            "(LaViDa-Dream), prefix_refresh_interval=8 (LLaDA-V); may be repeated.",
        ),
    ] = None,
    stop: Annotated[
        list[str] | None, Option(help="End the answer before this text; may be repeated.")
    ] = None,
    seed: Annotated[int | None, Option(help="Makes random choices repeatable.")] = None,
    think_mode: Annotated[
        str | None, Option(help="think or no_think: suffixes that LLaDA-V was trained with.")
    ] = None,
    dtype: Annotated[
        str | None, Option(help="float32, bfloat16 or float16. Default: as it is stored.")
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, cuda:1; default: a GPU if any.")] = None,
    attention: Annotated[
        str | None,
        Option(
            help="What computes attention: sdpa (torch), flash (flash-attn, on a GPU in half "
            "precision) or eager.  [default: sdpa]",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[str | None, Option(help="Branch, tag or commit on the hub.")] = None,
    probe: Annotated[
        bool,
        Option(help="Measure the attention to the picture in every layer (costs a little time)."),
    ] = True,
    compare: Annotated[
        bool,
        Option(
            "--compare", help="Ask the model alone, too, and show both answers with their cost."
        ),
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[
        Path | None,
        Option(
            help="Write the steps to this file: a page to look at if it ends in .html, else one "
            "JSON line per step.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Ask a question about a picture, and show what the answer cost.

    The answer is denoised in several steps; an autoregressive model writes a token a step. A policy
    says how many visual tokens each step keeps, a pruner says which; `--policy none` keeps all. The
    answer is printed first, then the time, the exact work done and the visual tokens that every
    step really read.

    The embedded models answer the questions of `saccade page --kind ...` about its pages, each
    with the lengths and steps that it prints.
    """
    if not question.strip():
        raise ValueError("the question is empty; ask something")
    pictures = [open_picture(path) for path in (image, *(more or []))]
    check_prompt(question, len(pictures))
    if trace is not None:
        check_output(trace)
    typed = {
        "gen_length": gen_length,
        "block_length": block_length,
        "steps": steps,
        "remasking": remasking,
        "cfg_scale": cfg_scale,
    }
    given = {k: v for k, v in typed.items() if v is not None}
    as_page = trace is not None and trace.suffix.lower() in (".html", ".htm")
    layers: Any = "all" if probe else "needed"
    if preset is not None:
        refuse_beside_preset(policy, pruner, positions)
        controller = preset_controller(preset, layers, as_page)
        made = promised(controller)
        model = preset_model(made) if model is None else model
        settings = preset_settings(made, model, revision, given)
    else:
        model = "embedded/llada-v" if model is None else model
        settings = length_settings(model, revision, given)
        controller = typed_controller(policy or "auto", pruner, layers, positions, as_page)
    if model.startswith("embedded/"):
        check_known(question, settings)
    settings |= {"temperature": temperature, "stopping_criteria": stop or [], "seed": seed}
    settings |= options_from(extra or [])
    where = {"name": model, "dtype": dtype, "revision": revision, "attention": attention}
    answer = _answer(where, device, controller, settings, question, pictures, think_mode, compare)
    if as_json:
        emit(answer.to_json())
    else:
        answer.show(out())
    if not (answer.generation.tokens or answer.generation.text):
        note("the model's answer is empty")
    if trace is not None and as_page:
        from saccade.studies.reports.trace_page import write_trace_page

        write_trace_page(
            trace,
            answer.generation,
            model=answer.model,
            controller=controller,
            inputs=answer.inputs,
            question=question,
            images=pictures,
        )
        note(f"trace written to {trace}")
    elif trace is not None:
        answer.trace.to_jsonl(trace)


def _answer(
    where: dict[str, Any],
    device: str | None,
    controller: "Controller",
    settings: dict[str, Any],
    question: str,
    pictures: list["Image.Image"],
    think_mode: str | None,
    compare: bool,
) -> "AnswerView":
    from saccade.studies.cli.answer import AnswerView

    # Wrong settings are told before a large model is loaded.
    plain: Any = model_family(where["name"], where["revision"]).settings.from_options(settings)
    total = getattr(plain, "steps", plain.gen_length)
    started = time.perf_counter()
    model = load_model(device=check_device(device), **where)
    controller.check(model.spec)
    warn_on_other_terms(controller, model, plain)
    loaded = time.perf_counter() - started
    if compare:  # the first answer of a process takes longer than the rest
        short = model.family.settings.for_lengths(4, 4, 1)
        model.generate(question, pictures, think_mode=think_mode, **short)
    begun = time.perf_counter()
    inputs = model.prepare(question, pictures, think_mode=think_mode)
    with Steps(err(), transient=True) as bar:
        generation = model.generate(
            inputs=inputs,
            controller=controller,
            callback=_shown(bar, model, total, "answering"),
            **settings,
        )
    seconds = time.perf_counter() - begun
    bare = _bare(model, settings, question, pictures, think_mode, total) if compare else None
    return AnswerView(model, controller, inputs, generation, settings, loaded, seconds, bare)


def _shown(bar: Steps, model: "Model", total: int, label: str) -> "Callback":
    """What shows every step: how far it is and, on a terminal, the end of the text so far."""

    def show(view: "StepView") -> None:
        said = ""
        if bar.console.is_terminal:
            text = " ".join((model.processor.decode(view.record.tokens) or "").split())
            said = f": {text[-STREAMED:]}" if text else ""
        bar.update(view.step + 1, max(total, view.step + 1), f"{label}{said}")

    return show


def _bare(
    model: "Model",
    settings: dict[str, Any],
    question: str,
    pictures: list["Image.Image"],
    think_mode: str | None,
    total: int,
) -> "BareAnswer":
    """The answer of the model alone."""
    from saccade.studies.cli.answer import BareAnswer

    begun = time.perf_counter()
    inputs: Prepared = model.prepare(question, pictures, think_mode=think_mode)
    with Steps(err(), transient=True) as bar:
        generation = model.generate(
            inputs=inputs,
            callback=_shown(bar, model, total, "the model alone"),
            **settings,
        )
    return BareAnswer(generation, time.perf_counter() - begun)
