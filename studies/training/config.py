"""The configuration file of a training run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from saccade.controller.names import unknown_name
from saccade.studies.config.yaml_files import read_config
from saccade.studies.tasks.documents.tasks import KINDS

Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

GUIDE_ONLY = ("guide_steps", "guide_layer")
MODEL_ONLY = ("per_page", "shared_prefix", "omitted", "ema", "tower_lr", "guide", *GUIDE_ONLY)
"""Fields of a stage that its loss reads in "model" stages only."""


def _check_width(width: int, unit: int, words: str) -> None:
    if width % unit:
        raise ValueError(f"hidden_size {width} must be a multiple of {words}, here {unit}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LanguageSize(_Strict):
    """Decoder geometry; the vocabulary comes from the tokenizer."""

    hidden_size: Count = 128
    intermediate_size: Count = 352
    n_layers: Count = 6
    n_heads: Count = 4
    rope_theta: Positive = 10000.0

    @model_validator(mode="after")
    def _heads_are_even(self) -> Self:
        """Rotary positions turn the channels of a head in pairs."""
        _check_width(self.hidden_size, 2 * self.n_heads, "2 n_heads")
        return self


class TowerSize(_Strict):
    """SigLIP geometry; `n_layers` counts the layers that run."""

    hidden_size: Count = 96
    intermediate_size: Count = 256
    n_layers: Count = 4
    n_heads: Count = 3

    @model_validator(mode="after")
    def _heads_are_equal(self) -> Self:
        _check_width(self.hidden_size, self.n_heads, "n_heads")
        return self


class Stage(_Strict):
    """One training stage: AdamW, linear warm-up, cosine decay to `final_lr` x `lr`.

    Attributes
    ----------
    kind : "vision" or "model"
        Reading patches with throw-away heads, or answering questions. Fields marked "model" are
        refused in a "vision" stage, where they would do nothing.
    steps, pages : int
        Optimiser steps, and pages per step.
    per_page : dict
        Questions of each task kind about every page ("model"; at least one).
    shared_prefix : bool
        Whether the questions of a page share its pass through the model (see ``shared_prefix``;
        "model").
    omitted : float
        Share of the glyphs left out of the pages, in [0, 1) ("model").
    lr, final_lr, warmup, weight_decay, clip
        Peak rate, its final share in [0, 1], warm-up steps, AdamW's decay and gradient norm limit.
    ema : float
        Decay of the averaged weights that the run returns, in [0, 1) ("model").
    tower_lr : float
        The tower's rate relative to `lr` ("model").
    guide, guide_steps, guide_layer
        Weight of the guided attention loss at the first step, the step at which it has faded out,
        and the layer it acts on (see ``grounding``; "model", with a shared prefix only).
    """

    kind: Literal["vision", "model"]
    steps: Count
    pages: Count
    per_page: dict[str, Count] = {}
    shared_prefix: bool = False
    omitted: float = Field(default=0.0, ge=0, lt=1)
    lr: Positive
    final_lr: float = Field(default=0.02, ge=0, le=1)
    warmup: Natural = 100
    weight_decay: NotNegative = 0.05
    clip: Positive = 1.0
    ema: float = Field(default=0.998, ge=0, lt=1)
    tower_lr: NotNegative = 1.0
    guide: NotNegative = 0.0
    guide_steps: Natural = 0
    guide_layer: Natural = 0

    @field_validator("per_page")
    @classmethod
    def _kinds_are_known(cls, value: dict[str, int]) -> dict[str, int]:
        unknown = [kind for kind in value if kind not in KINDS]
        if unknown:
            raise ValueError(unknown_name("task", unknown[0], KINDS))
        return value

    @model_validator(mode="after")
    def _fields_have_an_effect(self) -> Self:
        fields = type(self).model_fields
        given = [name for name in MODEL_ONLY if getattr(self, name) != fields[name].default]
        if self.kind == "vision" and given:
            raise ValueError(f"{given[0]} does nothing in a vision stage; leave it out")
        idle = [name for name in GUIDE_ONLY if name in given and not self.guide]
        if idle:
            raise ValueError(f"{idle[0]} does nothing without guide; leave it out, or give both")
        if self.kind == "model" and not self.per_page:
            raise ValueError(
                "a model stage needs per_page, the number of questions of each kind about a page; "
                f"kinds: {', '.join(KINDS)}"
            )
        if self.guide and not self.shared_prefix:
            raise ValueError("guide acts only where shared_prefix is true")
        if self.guide and not self.guide_steps:
            raise ValueError("guide needs guide_steps, the step at which it has faded out")
        return self

    def guide_weight(self, step: int) -> float:
        """Weight of the guided attention loss: `guide`, fading linearly to 0 at `guide_steps`."""
        return self.guide * max(0.0, 1 - step / self.guide_steps) if self.guide_steps else 0.0


class TrainConfig(_Strict):
    """A training run: what is trained, sizes, seed, and its stages in order (at least one).

    Attributes
    ----------
    name : str
    family : "llada-v", "llava-ar" or "lavida-dream"
        What the checkpoint is, and with that how it learns: by masked diffusion, from scratch; by
        predicting the next token; by masked diffusion with shifted logits.
    init : str, optional
        Checkpoint to begin from, as `load` takes it; without one, weights are drawn.
    seed, language, tower, stages
    """

    name: str = Field(min_length=1)
    family: Literal["llada-v", "llava-ar", "lavida-dream"] = "llada-v"
    init: str | None = Field(default=None, min_length=1)
    seed: Seed = 0
    language: LanguageSize = LanguageSize()
    tower: TowerSize = TowerSize()
    stages: tuple[Stage, ...]

    @field_validator("stages")
    @classmethod
    def _stages_are_some(cls, value: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """Not by `min_length`: it counts only valid stages, so a wrong one would be said twice."""
        if not value:
            raise ValueError("give one stage or more")
        return value

    @model_validator(mode="after")
    def _stages_suit_the_family(self) -> Self:
        for number, stage in enumerate(self.stages):
            if stage.kind == "model" and self.family == "llava-ar" and not stage.shared_prefix:
                raise ValueError(
                    f"stages.{number}: a causal model learns with shared_prefix: true, which is "
                    "its real forward"
                )
            if self.family == "lavida-dream" and stage.guide:
                raise ValueError(
                    f"stages.{number}: lavida-dream learns without guide; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _guided_layers_exist(self) -> Self:
        last = self.language.n_layers - 1
        for number, stage in enumerate(self.stages):
            if stage.guide_layer > last:
                raise ValueError(
                    f"stages.{number}.guide_layer is {stage.guide_layer}; layers are 0 to {last}"
                )
        return self


_PARTS: Mapping[str, type[_Strict]] = {
    "language": LanguageSize,
    "tower": TowerSize,
    "stages": Stage,
}


def load_train_config(path: str | Path) -> TrainConfig:
    """Read a training configuration from a YAML file and check all of it.

    Raises
    ------
    StudyError
        If the file cannot be read, or an entry is unknown or wrong: what was given and what is
        allowed.
    """
    return read_config(path, "training configuration", TrainConfig, _PARTS)
