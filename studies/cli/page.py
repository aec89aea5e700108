"""``saccade page``: a sample document to try things on."""

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import out
from saccade.studies.cli.inputs import check_output

FIRST = 1
"""Sample that is shown first: all embedded models read it right, whatever the kind of question."""


def page(
    path: Annotated[Path, Argument(metavar="OUT.png", help="Picture to write.")],
    kind: Annotated[
        str,
        Option(help="Question: yesno, digit, code, transcribe, describe, or an installed task."),
    ] = "code",
    index: Annotated[int, Option(help="Number of the sample.", min=0)] = FIRST,
    split: Annotated[
        str, Option(help="Handwriting: heldout (never trained on) or train.")
    ] = "heldout",
) -> None:
    """Write a sample document, and show its question, the right answer and how to ask a model.

    Pages are handwritten codes over a faint photograph; the same kind, index and split give the
    same page. Tasks of installed packages are kinds too.
    """
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks import tasks

    check_output(path)
    if split not in ("heldout", "train"):
        raise ValueError(unknown_name("split", split, ("heldout", "train"), "known splits"))
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: end the name in .png, which keeps every pixel")
    task = tasks.make(kind)
    if task.n_samples is not None and index >= task.n_samples:
        raise ValueError(f"--index {index}: {kind} has {task.n_samples} samples, from 0")
    (sample,) = task.samples([index], split="train" if split == "train" else "heldout")
    if len(sample.images) != 1:
        raise ValueError(f"sample {index} of {kind} has {len(sample.images)} pictures, not one")
    sample.images[0].save(path)
    words = ["saccade", "generate", str(path), sample.question]
    words += ["--gen-length", str(task.gen_length), "--block-length", str(task.block_length)]
    words += ["--steps", str(task.steps)]
    console = out()
    console.out(f"wrote     {path}", highlight=False)
    console.out(f"question  {sample.question}", highlight=False)
    console.out("answer    " + sample.answer.replace("\n", "\n          "), highlight=False)
    console.out(f"\n{shlex.join(words)}", highlight=False)
