"""``saccade train``: train an embedded model, or one of your own size."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from saccade.studies.cli.configs import find_config
from saccade.studies.cli.consoles import err, note, out
from saccade.studies.cli.inputs import check_device
from saccade.studies.cli.progress import Steps

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from saccade.backbones.families.family import Family
    from saccade.backbones.network.network import Network
    from saccade.studies.training.config import TrainConfig
    from saccade.studies.training.trainer import Trainer


def train(
    config: Annotated[
        str, Argument(metavar="CONFIG", help="YAML file, or a shipped name such as llada-v.")
    ],
    folder: Annotated[
        Path, Option("--out", help="Folder of the run: state, log, tokenizer.", show_default=False)
    ],
    device: Annotated[str, Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    workers: Annotated[int, Option(help="Threads that share the pages of a step.", min=1)] = 1,
    prefetch: Annotated[
        int, Option(help="Processes that draw coming pages; worth it with a GPU.", min=0)
    ] = 0,
    init: Annotated[
        str | None, Option(help="Checkpoint to begin from, instead of the configuration's.")
    ] = None,
    threads: Annotated[
        int | None, Option(help="Threads of torch. Default: torch's own choice.", min=1)
    ] = None,
    export: Annotated[
        Path | None, Option(help="Folder of the checkpoint. Default: OUT/checkpoint.")
    ] = None,
) -> None:
    """Train a model from a configuration, and write it as a checkpoint that generate can load.

    Shipped are llada-v, llava-ar, and lavida-dream, which is adapted from llava-ar. llada-v takes
    under an hour on two CPU cores (with --workers 2). A training resumes: its state is saved every
    two minutes and at the first Ctrl-C, and the same command goes on where an interrupted run
    stopped.
    """
    import torch

    from saccade.studies.training.chat import Chat
    from saccade.studies.training.config import load_train_config
    from saccade.studies.training.export import export as write_checkpoint
    from saccade.studies.training.folder import RECIPE, claimed, training_recipe
    from saccade.studies.training.start import start_of
    from saccade.studies.training.trainer import FAMILY_OF, Trainer

    settings = load_train_config(find_config(config, "train"))
    if init is not None:
        settings = settings.model_copy(update={"init": init})
    check_device(device)
    _check_workers(settings, workers, prefetch)
    target = folder / "checkpoint" if export is None else export
    _check_target(target)
    if threads is not None:
        torch.set_num_threads(threads)
    begin = None if settings.init is None else start_of(settings)
    hashes = None if begin is None else begin.hashes
    with claimed(folder, training_recipe(settings, device, workers, hashes)) as changed:
        if changed:
            note(f"different from before: {', '.join(changed)} (kept in {folder / RECIPE})")
        family = FAMILY_OF[settings.family]
        tokenizer = _tokenizer(folder, family) if begin is None else begin.tokenizer
        trainer = Trainer(
            settings,
            Chat(tokenizer, family),
            folder,
            device,
            workers=workers,
            prefetch=prefetch,
            begin=None if begin is None else begin.network,
        )
        network = _run(trainer)
        write_checkpoint(network, tokenizer, target, family)
    out().out(f"checkpoint  {target}", highlight=False)
    out().out(f"log         {folder / 'log.jsonl'}", highlight=False)


def _run(trainer: "Trainer") -> "Network":
    if trainer.state_path.exists():
        note(f"{trainer.folder} holds an earlier run: going on where it stopped")
    try:
        with Steps(err()) as bar, first_interrupt(trainer.stop):
            return trainer.run(
                lambda stage, step, total, figures: bar.update(
                    step, total, _label(figures), f"stage {stage}"
                )
            )
    except KeyboardInterrupt:
        note("interrupted; to go on from what was saved, run the same command again")
        raise typer.Exit(130) from None


@contextmanager
def first_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block the first Ctrl-C calls `stop`; another one acts as ever."""
    before = signal.getsignal(signal.SIGINT)

    def stop_once(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        note("saving after this step; press Ctrl-C again to stop at once")
        stop()

    signal.signal(signal.SIGINT, stop_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _check_workers(settings: "TrainConfig", workers: int, prefetch: int) -> None:
    if prefetch and workers > 1:
        raise ValueError(f"--prefetch {prefetch} goes with --workers 1, not {workers}")
    uneven = [stage.pages for stage in settings.stages if stage.pages % workers]
    if uneven:
        raise ValueError(f"--workers {workers} cannot share {uneven[0]} pages of a step evenly")


def _check_target(target: Path) -> None:
    """Refuse, before hours of training, a folder that could not be written after them."""
    found = next(p for p in (target.absolute(), *target.absolute().parents) if os.path.lexists(p))
    advice = f"so no checkpoint can be written to {target}; give another --out or --export"
    if not found.is_dir():
        raise NotADirectoryError(f"{found} is not a folder, {advice}")
    if not os.access(found, os.W_OK | os.X_OK):
        raise PermissionError(f"{found} is not yours to write to, {advice}")


def _tokenizer(folder: Path, family: "Family") -> "Tokenizer":
    from saccade.backbones.checkpoints.tokenizer import read_tokenizer
    from saccade.studies.training.tokenizer import build_tokenizer, save_tokenizer

    found = read_tokenizer(folder)
    if found is None:
        found = build_tokenizer(family)
        save_tokenizer(found, folder)
    return found


def _label(figures: dict[str, float]) -> str:
    """The loss last looked at: a step's own, or the mean over task kinds; none right after a start
    in between."""
    parts = [value for name, value in figures.items() if name.split("/")[0] == "loss"]
    return f"loss {sum(parts) / len(parts):.4f}" if parts else ""
