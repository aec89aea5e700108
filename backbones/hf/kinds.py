"""The classes of transformers that can be controlled: facts about each, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.backbones.hf import picture_grids
from saccade.controller.errors import CapabilityError
from saccade.controller.types import Origin

Grids = Callable[[Any, Mapping[str, Any]], Sequence[tuple[int, int]]]
"""From a model's config and the arguments of a call, rows and columns of visual tokens of every
picture (of every frame of a video) in their order, or nothing where they lie in no grid."""

SHOWN = frozenset(
    {
        "attention",
        "bypass",
        "confidence",
        "drop",
        "entropy",
        "features",
        "hidden",
        "keys",
        "keys:text",
        "margin",
        "masked",
        "normed",
        "normed:text",
        "received",
        "refresh",
        "rows:before",
        "rows:text",
        "site:entry",
        "site:layer",
        "text",
        *(
            f"attention:{rows}{how}"
            for rows in ("response", "all", "last", "instruction")
            for how in ("", ":logits")
        ),
    }
)
"""What all of them offer: of what a pruner may see, all that needs no second look at the tower."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of transformers.

    Attributes
    ----------
    origin : Origin
    visual : tuple of str
        Fields of its config that name the token of a picture's (or a video's) place.
    grids : callable or None
        Where its visual tokens lie in their pictures; None where that is not known.
    budget : str or None
        Option of its picture processor for the most tokens of a picture; None without one.
    encoder, decoder : str
        Paths of the pile that computes the prompt, and of that which computes the answer; the same
        in an autoregressive model.
    """

    origin: Origin
    visual: tuple[str, ...]
    grids: Grids | None = None
    budget: str | None = None
    encoder: str = "model.language_model"
    decoder: str = "model.language_model"

    @property
    def denoises(self) -> bool:
        """Whether it denoises blocks of an answer, and does not write token by token."""
        return self.encoder != self.decoder

    @property
    def can(self) -> frozenset[str]:
        """Capabilities of `BackboneSpec`."""
        own = SHOWN | ({"centers"} if self.grids else set())
        return own | ({"commit"} if self.denoises else set())


KINDS: Mapping[str, Kind] = {
    "LlavaForConditionalGeneration": Kind(
        "autoregressive", ("image_token_id", "image_token_index"), picture_grids.square
    ),
    "LlavaOnevisionForConditionalGeneration": Kind(
        "autoregressive",
        ("image_token_id", "image_token_index", "video_token_id", "video_token_index"),
    ),
    "Qwen2_5_VLForConditionalGeneration": Kind(
        "autoregressive", ("image_token_id", "video_token_id"), picture_grids.merged
    ),
    "Qwen3VLForConditionalGeneration": Kind(
        "autoregressive", ("image_token_id", "video_token_id"), picture_grids.merged
    ),
    "Gemma3ForConditionalGeneration": Kind(
        "autoregressive", ("image_token_id", "image_token_index"), picture_grids.fixed
    ),
    "Gemma4ForConditionalGeneration": Kind(
        "autoregressive",
        ("image_token_id", "video_token_id"),
        picture_grids.pooled,
        budget="max_soft_tokens",
    ),
    "DiffusionGemmaForBlockDiffusion": Kind(
        "ar-to-diffusion",
        ("image_token_id",),
        picture_grids.pooled,
        budget="max_soft_tokens",
        encoder="model.encoder.language_model",
        decoder="model.decoder",
    ),
}
"""By the name of the class; subclasses count as it."""


def is_known(model: object) -> bool:
    """Whether `kind_of` knows a model's class."""
    return _kind(model) is not None


def kind_of(model: object) -> Kind:
    """The facts about a model's class.

    Raises
    ------
    CapabilityError
        If it is none of those, naming them.
    """
    kind = _kind(model)
    if kind is not None:
        return kind
    raise CapabilityError(
        f"{type(model).__name__} is none of the classes of transformers that a controller can "
        f"work on; those are {', '.join(sorted(KINDS))}"
    )


def _kind(model: object) -> Kind | None:
    for base in type(model).__mro__:
        if base.__name__ in KINDS and base.__module__.startswith("transformers."):
            return KINDS[base.__name__]
    return None


def visual_ids(kind: Kind, config: Any) -> tuple[int, ...]:
    """Ids that stand for visual tokens in a prompt."""
    named = (getattr(config, name, None) for name in kind.visual)
    return tuple(sorted({int(token) for token in named if token is not None}))
