"""The configuration file of a training run."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from saccade.controller.errors import StudyError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LanguageSize(_Strict):
    """Decoder geometry; the vocabulary comes from the tokenizer."""

    hidden_size: int = 128
    intermediate_size: int = 352
    n_layers: int = 6
    n_heads: int = 4
    rope_theta: float = 10000.0


class TowerSize(_Strict):
    """SigLIP geometry; `n_layers` counts the layers that run."""

    hidden_size: int = 96
    intermediate_size: int = 256
    n_layers: int = 4
    n_heads: int = 3


class Stage(_Strict):
    """One training stage: AdamW, linear warm-up, cosine decay to `final_lr` x `lr`.

    Attributes
    ----------
    kind : "vision" or "model"
        Reading patches with throw-away heads, or answering questions.
    steps, pages : int
        Optimiser steps, and pages per step.
    per_page : dict
        Questions of each task kind about every page ("model" stages).
    shared_prefix : bool
        Whether the questions of a page share its pass through the model (see ``shared_prefix``).
    omitted : float
        Share of the glyphs left out of the pages ("model" stages).
    lr, final_lr, warmup, weight_decay, clip, ema
        Peak rate, its final share, warm-up steps, AdamW's decay, gradient norm limit, and the decay
        of the averaged weights that the run returns.
    tower_lr : float
        The tower's rate relative to `lr`.
    guide, guide_steps, guide_layer
        Weight of the guided attention loss at the first step, the step at which it has faded out,
        and the layer it acts on (see ``grounding``; stages with a shared prefix only).
    """

    kind: Literal["vision", "model"]
    steps: int = Field(gt=0)
    pages: int = Field(gt=0)
    per_page: dict[str, int] = {}
    shared_prefix: bool = False
    omitted: float = Field(default=0.0, ge=0, lt=1)
    lr: float = Field(gt=0)
    final_lr: float = 0.02
    warmup: int = 100
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    tower_lr: float = 1.0
    guide: float = 0.0
    guide_steps: int = 0
    guide_layer: int = 0

    def guide_weight(self, step: int) -> float:
        """Weight of the guided attention loss: `guide`, fading linearly to 0 at `guide_steps`."""
        return self.guide * max(0.0, 1 - step / self.guide_steps) if self.guide_steps else 0.0


class TrainConfig(_Strict):
    """A training run: sizes, seed, and its stages in order."""

    name: str
    seed: int = 0
    language: LanguageSize = LanguageSize()
    tower: TowerSize = TowerSize()
    stages: tuple[Stage, ...] = Field(min_length=1)


def load_train_config(path: str | Path) -> TrainConfig:
    """Read a YAML file; unknown keys and wrong values raise `StudyError` naming them."""
    try:
        values: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"no training configuration at {path}") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    try:
        return TrainConfig.model_validate(values)
    except ValueError as error:
        raise StudyError(f"{path}: {error}") from error
