"""The values that cross every boundary: all frozen, all described by shapes and units."""

from dataclasses import dataclass, fields
from typing import Any, Literal

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
        Forwards the settings ask for in all.
    block, n_blocks : int
        Current block and number of blocks.
    masked, committed : int
        Response positions still masked and already committed.
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
class SignalChange:
    """How a step's signals differ from those of the step before; None where one of the two is
    missing.

    Attributes
    ----------
    attention_visual, attention_response : float or None
        Of `Signals.visual_mass` and `Signals.response_mass`, in [-1, 1].
    confidence : float or None
        Mean confidence over the positions that were masked in both steps, in [-1, 1].
    """

    attention_visual: float | None = None
    attention_response: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What one sequence showed in the step before; host values, None where not measured.

    A suffix after the answer counts as response, among the rows and among the R positions. The
    attention ratios are those of arXiv 2511.15098, figure 2, the confidences those of its sampling.

    Attributes
    ----------
    attention_visual, attention_prompt, attention_response : Tensor (n_layers,) float32 or None
        Attention mass of the response rows on each kind of token, mean over heads and over the
        rows that were forwarded (all of them, but where blocks before the present one are cached),
        in [0, 1]; the three sum to 1 in a probed layer and are NaN in one not probed.
    attention_visual_masked, attention_prompt_masked, attention_response_masked : Tensor or None
        The same (n_layers,) of the rows whose positions were still masked; NaN if there were none.
    received : Tensor (N,) float32 or None
        Attention that each visual token received from the rows of the response that were
        forwarded, mean over heads and rows, in the probed layer in which it is most; in [0, 1], 0
        where it was dropped.
    confidence : Tensor (R,) float64 or None
        Softmax probability of the chosen token per response position, in [0, 1] (NaN where the
        position was not forwarded).
    entropy : Tensor (R,) float64 or None
        Entropy in nats of the prediction per response position.
    margin : Tensor (R,) float64 or None
        Confidence less the probability of the likeliest other token, in [-1, 1].
    masked : Tensor (R,) bool or None
        Positions that were still masked when the step began.
    committed : int
        Positions that received their token in the step.
    change : SignalChange or None
        Since the step before; None in the first.
    skipped : frozenset of int
        Layers that visual tokens skipped: nothing could attend to them there.
    """

    attention_visual: Tensor | None = None
    attention_prompt: Tensor | None = None
    attention_response: Tensor | None = None
    confidence: Tensor | None = None
    entropy: Tensor | None = None
    masked: Tensor | None = None
    attention_visual_masked: Tensor | None = None
    attention_prompt_masked: Tensor | None = None
    attention_response_masked: Tensor | None = None
    received: Tensor | None = None
    margin: Tensor | None = None
    committed: int = 0
    change: SignalChange | None = None
    skipped: frozenset[int] = frozenset()

    def _over_masked(self, values: Tensor | None) -> Tensor | None:
        if values is None or self.masked is None:
            return None
        known = values[self.masked & ~values.isnan()]
        return known if len(known) else None

    @property
    def mean_confidence(self) -> float | None:
        """Mean confidence of the positions that were masked and forwarded, or None."""
        values = self._over_masked(self.confidence)
        return None if values is None else float(values.mean())

    @property
    def min_confidence(self) -> float | None:
        """Least confidence of the positions that were masked and forwarded, or None."""
        values = self._over_masked(self.confidence)
        return None if values is None else float(values.min())

    @property
    def visual_mass(self) -> float | None:
        """Answer-to-picture attention of the masked rows, mean over the probed layers that visual
        tokens did not skip, or None."""
        return self._mean(self.attention_visual_masked)

    @property
    def response_mass(self) -> float | None:
        """Answer-to-answer attention of the masked rows, mean over the same layers, or None."""
        return self._mean(self.attention_response_masked)

    def _mean(self, values: Tensor | None) -> float | None:
        """Mean of what was measured in layers that were not skipped; None without any."""
        if values is None:
            return None
        rest = [value for i, value in enumerate(values.tolist()) if i not in self.skipped]
        known = [value for value in rest if value == value]  # not NaN
        return sum(known) / len(known) if known else None

    def copy(self) -> "Signals":
        """The same values in tensors of their own."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        own: dict[str, Any] = {
            n: v.clone() if isinstance(v, Tensor) else v for n, v in values.items()
        }
        return Signals(**own)


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


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Facts about a backbone, as data.

    Attributes
    ----------
    name : str
    origin : Origin
        How it was trained.
    geometry : Geometry
    mask_id : int
        Id of the mask token.
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
    mask_id: int
    forbidden_ids: tuple[int, ...]
    logit_shift: bool
    can: frozenset[str]


def round_keep(keep: float, n: int) -> int:
    """How many of `n` tokens a keep ratio leaves: ``round`` half to even, as DivPrune does."""
    return int(round(keep * n))
