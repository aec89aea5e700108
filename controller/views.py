"""What a pruner sees of the visual tokens, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

from saccade.controller.errors import CapabilityError
from saccade.controller.one_line import fields_in_line

Space = Literal["rows", "tower"]


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Kept tokens that become weighted sums of visual tokens: entry j adds `weight[j]` times token
    `source[j]` to token `into[j]`. What a token was counts only if it is a source of itself.

    Attributes
    ----------
    into, source : Tensor (M,) int64
        Indices into the visual tokens; `into` names kept ones.
    weight : Tensor (M,) float32
    space : "rows" or "tower"
        What is summed: rows of the language model where the tokens are dropped, or the vision
        tower's features, which are projected afterwards.
    """

    into: Tensor
    source: Tensor
    weight: Tensor
    space: Space = "rows"

    def __repr__(self) -> str:
        return fields_in_line(self)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Which of N visual tokens stay.

    Attributes
    ----------
    keep : Tensor (n,) int64
        Distinct ascending indices into the visual tokens, 0 to N - 1.
    merge : Merge or None
        What others are folded into some of them.
    features : Tensor (n, D) or None
        What the tokens that stay are when they enter the language model, instead of what they were.
    """

    keep: Tensor
    merge: Merge | None = None
    features: Tensor | None = None

    def __repr__(self) -> str:
        return fields_in_line(self)


class Reduce(Protocol):
    """What a method does inside the vision tower."""

    def bias(self) -> Tensor | None:
        """Added to the logits of every key (V, t), in all heads; None for nothing."""
        ...

    def __call__(self, layer: int, hidden: Tensor, keys: Tensor) -> Tensor:
        """Reduce the rows (V, t, C) between attention and MLP of a layer to (V, t', C).

        `keys` (V, H, t, d) are that layer's.
        """
        ...


class TowerAccess(Protocol):
    """The vision tower of one request, for methods that act inside it.

    Attributes
    ----------
    n_layers : int
    n_patches : int
        Of one view.
    n_views : int
    owners : Tensor (N,) int64
        The patch each visual token comes from, counted through all views; of several, the one next
        to its centre. -1 for newlines.
    """

    @property
    def n_layers(self) -> int: ...

    @property
    def n_patches(self) -> int: ...

    @property
    def n_views(self) -> int: ...

    @property
    def owners(self) -> Tensor: ...

    def run(self, reduce: Reduce) -> Tensor:
        """Run the tower once more; projected rows (V, t, D) of what `reduce` leaves."""
        ...

    def pack(self, patches: Tensor) -> Tensor:
        """Projected rows for all patches (V, P, D) as the language model would get them (N, D)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class VisualView:
    """What a pruner may see of the N visual tokens of one sequence: copies, to be left as they are.

    Attributes
    ----------
    features : Tensor (N, D)
        Projected embeddings as they enter the language model (newline tokens included).
    centers : Tensor (N, 2) float32
        Centre (x, y) of each token in its image, in [0, 1]; NaN for newline tokens.
    images : Tensor (N,) int64
        Number of the image each token comes from.
    attention : mapping of str to Tensor (N,)
        Softmaxed attention each visual token received, mean over heads and over the query rows
        named by the key: "response", "all", "last" (of the forward) or "instruction" (the last row
        of the prompt). In "response:logits" and so on the heads are averaged before the softmax. It
        is that of layer `layer` - 1, in "instruction:own" that of layer `layer` itself over what
        enters it. Only what `needs` asks.
    extras : mapping of str to Tensor
        What else `needs` asks, under its name; see `VIEW_FIELDS`.
    tower : TowerAccess or None
        Where "tower:run" is asked.
    step, layer : int
        When and before which layer the tokens are reduced.
    seed : int
        For pruners that draw at random: the same for the same request, whatever the batch.
    """

    features: Tensor
    centers: Tensor
    images: Tensor
    attention: Mapping[str, Tensor] = field(default_factory=dict)
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    tower: TowerAccess | None = None
    step: int = 0
    layer: int = 0
    seed: int = 0

    def __repr__(self) -> str:
        return fields_in_line(self)

    def __len__(self) -> int:
        return len(self.features)

    def of(self, need: str) -> Tensor:
        """What is held under the name of a need: "attention:all", "text", "tower:keys", ...

        Raises
        ------
        CapabilityError
            If it is not held, naming what is.
        """
        found = self.extras.get(need)
        if need.startswith("attention:"):
            found = self.attention.get(need.removeprefix("attention:"))
        if found is None:
            held = [f"attention:{name}" for name in self.attention] + list(self.extras)
            names = ", ".join(map(repr, held)) or "nothing but features and centers"
            raise CapabilityError(f"{need!r} is needed; the view has {names}")
        return found
