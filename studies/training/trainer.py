"""The training run: stages in order, a checkpoint every few minutes, resumed where it stopped."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saccade.backbones.families import lavida_dream, llada_v, llava_ar
from saccade.backbones.families.family import Family
from saccade.backbones.network.network import Network
from saccade.backbones.network.sizes import LanguageConfig, TowerConfig
from saccade.backbones.network.tower import init_weights
from saccade.studies.tasks.documents.page import PAGE_SIZE
from saccade.studies.training.averages import Averages
from saccade.studies.training.batch import Views
from saccade.studies.training.causal import causal_loss
from saccade.studies.training.chat import Chat
from saccade.studies.training.config import Stage, TrainConfig
from saccade.studies.training.draws import Drawn, Draws
from saccade.studies.training.masked import masked_loss
from saccade.studies.training.progress import (
    LOG,
    STATE,
    append_figures,
    read_checkpoint,
    write_atomically,
)
from saccade.studies.training.shifted import shifted_loss
from saccade.studies.training.stages import Figures, PatchHeads, plain_figures, vision_loss

FAMILY_OF: Mapping[str, Family] = {
    "llada-v": llada_v.FAMILY,
    "llava-ar": llava_ar.FAMILY,
    "lavida-dream": lavida_dream.FAMILY,
}
LOSS_OF = {"llada-v": masked_loss, "llava-ar": causal_loss, "lavida-dream": shifted_loss}
"""What a configured family is, and how it learns."""

EVERY = 20
"""Steps from one line of the log to the next."""

Report = Callable[[str, int, int, dict[str, float]], None]
"""``report(stage, step, steps, figures)`` after every step."""

PATCH_SIZE = 8


def build_network(config: TrainConfig, vocab_size: int) -> Network:
    """A fresh network of the configured size, weights drawn from the configured seed."""
    size, tower, traits = config.language, config.tower, FAMILY_OF[config.family].decoder
    network = Network(
        LanguageConfig(
            size.hidden_size,
            size.intermediate_size,
            size.n_layers,
            size.n_heads,
            size.n_heads,
            vocab_size,
            rms_norm_eps=traits.rms_norm_eps,
            rope_theta=size.rope_theta,
            qkv_bias=traits.qkv_bias,
            causal=traits.causal,
        ),
        TowerConfig(
            tower.hidden_size,
            tower.intermediate_size,
            tower.n_layers,
            tower.n_heads,
            image_size=PAGE_SIZE,
            patch_size=PATCH_SIZE,
        ),
    )
    init_weights(network, torch.Generator().manual_seed(config.seed))
    return network


def learning_rate(stage: Stage, step: int) -> float:
    """Share of the peak rate at `step`: linear warm-up, then cosine decay to `final_lr`."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    done = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.final_lr + (1 - stage.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def make_optimizer(modules: dict[str, nn.Module], stage: Stage) -> torch.optim.AdamW:
    """AdamW over the modules; norms and biases are not decayed, the tower may learn slower."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for module in modules.values():
        for name, parameter in module.named_parameters():
            scale = stage.tower_lr if "vision_tower" in name else 1.0
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": stage.lr * scale,
                "scale": scale,
                "weight_decay": stage.weight_decay * decayed,
            }
            for (scale, decayed), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
    )


def mean_figures(shares: Sequence[Figures]) -> Figures:
    """Mean of every figure over the workers that have it and for whom it is a number."""
    names = dict.fromkeys(name for figures in shares for name in figures)
    found = {name: [f[name] for f in shares if name in f] for name in names}
    return {name: torch.stack(values).nanmean() for name, values in found.items()}


class Trainer:
    """One training run in a folder: ``state.pt``, ``log.jsonl``.

    Parameters
    ----------
    config : TrainConfig
    chat : Chat
        Of the configured family.
    folder : Path
        Where state and log live; an existing state is resumed.
    device : str
    save_every : float
        Seconds between checkpoints.
    workers : int
        Threads that share the pages of a step; pages per step must be divisible by it.
    prefetch : int
        Processes that draw the pages of coming steps; 0 draws each when it is needed. What is drawn
        does not depend on it.
    begin : Network, optional
        Weights to begin from, unless a state is resumed.
    """

    def __init__(
        self,
        config: TrainConfig,
        chat: Chat,
        folder: Path,
        device: str = "cpu",
        save_every: float = 120.0,
        workers: int = 1,
        prefetch: int = 0,
        begin: Network | None = None,
    ) -> None:
        self.config, self.chat, self.folder = config, chat, folder
        self.save_every, self.workers, self.prefetch = save_every, workers, prefetch
        self.network = build_network(config, chat.tokenizer.get_vocab_size())
        if begin is not None:
            self.network.load_state_dict(begin.state_dict())
        self.network.to(device)
        self.heads = PatchHeads(config.tower.hidden_size)
        init_weights(self.heads, torch.Generator().manual_seed(config.seed))
        self.heads.to(device)
        self.averages = Averages()
        self._stopping = False
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        return self.folder / STATE

    def run(self, report: Report | None = None) -> Network:
        """Train to the end (or resume), and return the network with averaged weights.

        Raises
        ------
        KeyboardInterrupt
            After `stop`; everything up to then is saved.
        StudyError
            If the state to resume is damaged.
        """
        state = read_checkpoint(self.state_path) or {}
        if state:
            self.network.load_state_dict(state["network"])
            self.heads.load_state_dict(state["heads"])
            self.averages.restore(state["averages"], self.network.model.image_newline.device)
        for number in range(state.get("stage", 0), len(self.config.stages)):
            resumed = state if state.get("stage") == number else {}
            self._run_stage(number, resumed, report)
        if self.averages.values:
            self.network.load_state_dict(self.averages.values)
        return self.network

    def stop(self) -> None:
        """Let a run finish its present step, save it, and raise `KeyboardInterrupt`."""
        self._stopping = True

    def _run_stage(self, number: int, state: dict[str, Any], report: Report | None) -> None:
        stage = self.config.stages[number]
        modules: dict[str, nn.Module] = {"network": self.network}
        if stage.kind == "vision":
            modules = {"tower": self.network.model.vision_tower, "heads": self.heads}
        optimizer = make_optimizer(modules, stage)
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        saved, plain = time.monotonic(), {}
        drawn = self._draws(number, state.get("step", 0))
        for step in range(state.get("step", 0), stage.steps):
            batches = [next(drawn) for _ in range(self.workers)]
            figures = self._step(number, step, batches, optimizer, list(modules.values()))
            if step % EVERY == 0 or step + 1 == stage.steps:
                plain = plain_figures(figures)
                append_figures(self.folder / LOG, number + 1, step, plain)
            if report is not None:
                report(f"{number + 1}/{len(self.config.stages)}", step + 1, stage.steps, plain)
            if self._stopping or time.monotonic() - saved > self.save_every:
                self._save(number, step + 1, optimizer)
                saved = time.monotonic()
            if self._stopping:
                raise KeyboardInterrupt
        self._save(number + 1, 0, None)

    def _draws(self, number: int, first: int) -> Iterator[Drawn]:
        """What the workers see, step by step from `first` on."""
        stage = self.config.stages[number]
        draws = Draws(self.chat, stage, stage.pages // self.workers, self._seed(number))
        return draws.between(first * self.workers, stage.steps * self.workers, self.prefetch)

    def _seed(self, number: int) -> int:
        return self.config.seed + 1000 * number

    def _step(
        self,
        number: int,
        step: int,
        batches: Sequence[Drawn],
        optimizer: torch.optim.AdamW,
        modules: list[nn.Module],
    ) -> Figures:
        stage = self.config.stages[number]
        for group in optimizer.param_groups:
            group["lr"] = stage.lr * group["scale"] * learning_rate(stage, step)
        parameters = [p for module in modules for p in module.parameters()]
        figures = self._gradients(number, step, batches, parameters)
        figures["norm"] = nn.utils.clip_grad_norm_(parameters, stage.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if stage.kind == "model":
            self.averages.update(self.network, step, stage.ema)
        return figures

    def _gradients(
        self, number: int, step: int, batches: Sequence[Drawn], parameters: list[nn.Parameter]
    ) -> Figures:
        """Fill the gradients of one step; each worker thread takes its share of the pages."""

        def share(worker: int) -> tuple[tuple[Tensor | None, ...], Figures]:
            loss, figures = self._loss(number, step, worker, batches[worker])
            return torch.autograd.grad(loss / self.workers, parameters, allow_unused=True), figures

        with ThreadPoolExecutor(self.workers, initializer=self._one_thread) as pool:
            shares = list(pool.map(share, range(self.workers)))
        for parameter, *gradients in zip(parameters, *(g for g, _ in shares), strict=True):
            found = [gradient for gradient in gradients if gradient is not None]
            parameter.grad = torch.stack(found).sum(0) if found else None
        return mean_figures([figures for _, figures in shares])

    def _one_thread(self) -> None:
        if self.workers > 1:
            torch.set_num_threads(1)

    def _loss(self, number: int, step: int, worker: int, drawn: Drawn) -> tuple[Tensor, Figures]:
        stage = self.config.stages[number]
        if isinstance(drawn, Views):
            return vision_loss(self.network, self.heads, drawn)
        draw = step * self.workers + worker
        generator = torch.Generator().manual_seed(self._seed(number) * 1_000_003 + draw)
        loss = LOSS_OF[self.config.family]
        return loss(self.network, self.chat, stage, drawn, generator, stage.guide_weight(step))

    def _save(self, number: int, step: int, optimizer: torch.optim.AdamW | None) -> None:
        content = {
            "stage": number,
            "step": step,
            "network": self.network.state_dict(),
            "heads": self.heads.state_dict(),
            "averages": self.averages.values,
        }
        if optimizer is not None:
            content["optimizer"] = optimizer.state_dict()
        write_atomically(self.state_path, content)
