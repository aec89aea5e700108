"""The values that cross every boundary: all frozen, all described by shapes and units."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Origin = Literal["from-scratch", "ar-to-diffusion", "autoregressive"]
PROMPT, VISUAL, RESPONSE = 0, 1, 2
"""Kinds of a token: text before the answer, from an image, in the answer being denoised."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Which tokens of one sequence are prompt, visual and response; several images are allowed.

    Attributes
    ----------
    kinds : Tensor (L,) int8, on the CPU
        PROMPT, VISUAL or RESPONSE per position.
    images : Tensor (L,) int16, on the CPU
        Number of the image a visual token comes from, -1 for text.
    """

    kinds: Tensor
    images: Tensor

    def __repr__(self) -> str:
        kinds = ((VISUAL, "visual"), (PROMPT, "prompt"), (RESPONSE, "response"))
        counts = (f"{len(self.positions(kind))} {name}" for kind, name in kinds)
        return f"Segments({len(self)} positions: {', '.join(counts)})"

    def __len__(self) -> int:
        return len(self.kinds)

    def positions(self, kind: int) -> Tensor:
        """Ascending positions (n,) int64 of one kind."""
        return (self.kinds == kind).nonzero()[:, 0]

    @property
    def visual(self) -> Tensor:
        """Positions of the visual tokens."""
        return self.positions(VISUAL)

    @property
    def prompt(self) -> Tensor:
        """Positions of the prompt tokens."""
        return self.positions(PROMPT)

    @property
    def response(self) -> Tensor:
        """Positions of the response tokens."""
        return self.positions(RESPONSE)


@dataclass(frozen=True, slots=True)
class StepState:
    """What is known of one sequence before a step.

    Attributes
    ----------
    step : int
        Forwards done so far in this call, 0 in the first.
    n_steps : int
        Forwards the settings ask for in all; a bound where the model may end before.
    block, n_blocks : int
        Current block and number of blocks, which is a bound where the model may end before.
    masked, committed : int
        Response positions still masked and already committed. Where a model has no mask token but
        accepts tokens and draws the others anew: positions of the block that the step before did
        not accept, and those that it did.
    cache_age : int
        Forwards since the prompt was last recomputed; 0 where every forward recomputes it.
    """

    step: int
    n_steps: int
    block: int
    n_blocks: int
    masked: int
    committed: int
    cache_age: int = 0


@dataclass(frozen=True, slots=True)
class LayerGeometry:
    """Sizes of one decoder layer.

    Attributes
    ----------
    hidden, intermediate : int
        Width of its rows, and of its gated MLP that every row passes; 0 for no such MLP.
    n_heads, n_kv_heads, head_dim : int
        Of its attention.
    window : int or None
        Keys that a row reads at most, itself among them; None for all.
    value_proj : bool
        Whether values have a projection of their own; else they are the keys.
    experts, experts_read, expert_intermediate : int
        How many experts there are, how many of them a row passes, and their width; 0 for none.
    """

    hidden: int
    intermediate: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    window: int | None = None
    value_proj: bool = True
    experts: int = 0
    experts_read: int = 0
    expert_intermediate: int = 0


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes that decide what a forward costs.

    Attributes
    ----------
    n_layers, hidden, intermediate, n_heads, n_kv_heads, vocab : int
        Of the language model.
    """

    n_layers: int
    hidden: int
    intermediate: int
    n_heads: int
    n_kv_heads: int
    vocab: int

    def layer(self, number: int) -> LayerGeometry:
        """Sizes of one layer, 0 to n_layers - 1."""
        width = self.hidden // self.n_heads
        return LayerGeometry(self.hidden, self.intermediate, self.n_heads, self.n_kv_heads, width)


@dataclass(frozen=True, slots=True)
class LayeredGeometry(Geometry):
    """Sizes of a model whose layers are not all made of the same ones.

    Attributes
    ----------
    layers : tuple of LayerGeometry
        Of every layer; the sizes that `Geometry` has are those of the first.
    """

    layers: tuple[LayerGeometry, ...] = ()

    def layer(self, number: int) -> LayerGeometry:
        return self.layers[number]


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Facts about a backbone, as data.

    Attributes
    ----------
    name : str
    origin : Origin
        How it was trained.
    geometry : Geometry
    mask_id : int or None
        Id of the mask token; None where nothing is masked.
    forbidden_ids : tuple of int
        Ids never predicted at masked positions.
    logit_shift : bool
        Whether logits at a position predict the next one.
    can : frozenset of str
        Capabilities: signals it measures ("attention", "confidence", ...), what its views
        hold ("features", "centers", "attention:response", ...), plan actions ("drop", "bypass",
        "refresh", "commit").
    """

    name: str
    origin: Origin
    geometry: Geometry
    mask_id: int | None
    forbidden_ids: tuple[int, ...]
    logit_shift: bool
    can: frozenset[str]


def round_keep(keep: float, n: int) -> int:
    """How many of `n` tokens a keep ratio leaves: ``round`` half to even, as DivPrune does, but one
    at least where it is above 0 and there are some."""
    return max(int(round(keep * n)), int(keep > 0 and n > 0))
