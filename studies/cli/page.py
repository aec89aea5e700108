"""``saccade page``: a sample document to try things on."""

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from saccade.studies.cli.consoles import out
from saccade.studies.cli.inputs import check_output


def page(
    path: Annotated[Path, Argument(metavar="OUT.png", help="Picture to write.")],
    kind: Annotated[
        str, Option(help="Question: yesno, digit, code, transcribe or describe.")
    ] = "code",
    index: Annotated[int, Option(help="Number of the sample.", min=0)] = 0,
    split: Annotated[
        str, Option(help="Handwriting: heldout (never trained on) or train.")
    ] = "heldout",
) -> None:
    """Write a sample document, and show its question, the right answer and how to ask a model.

    Pages are handwritten codes over a faint photograph; the same kind, index and split give the
    same page.
    """
    from saccade.studies.tasks.documents import KINDS, make_sample

    check_output(path)
    if split not in ("heldout", "train"):
        raise ValueError(f"unknown split {split!r}; known splits: heldout, train")
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: end the name in .png, which keeps every pixel")
    sample = make_sample(kind, index, split="train" if split == "train" else "heldout")
    sample.page.image.save(path)
    lengths = KINDS[kind]
    words = ["saccade", "generate", str(path), sample.question]
    words += ["--gen-length", str(lengths.gen_length), "--block-length", str(lengths.block_length)]
    words += ["--steps", str(lengths.steps)]
    console = out()
    console.out(f"wrote     {path}", highlight=False)
    console.out(f"question  {sample.question}", highlight=False)
    console.out("answer    " + sample.answer.replace("\n", "\n          "), highlight=False)
    console.out(f"\n{shlex.join(words)}", highlight=False)
