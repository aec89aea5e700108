"""FastV: keep the tokens that receive most attention."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from saccade.controller.errors import CapabilityError
from saccade.controller.names import not_allowed
from saccade.controller.views import VisualView
from saccade.pruners.base import ScorePruner

Queries = Literal["response", "all", "last", "instruction"]
HeadMean = Literal["weights", "logits"]


@dataclass(frozen=True, repr=False)
class FastV(ScorePruner):
    """Keep the visual tokens that received most attention in the layer before the drop.

    Parameters
    ----------
    queries : "response", "all", "last" or "instruction"
        Rows whose attention counts: those of the response, all, the last one alone, or the last one
        of the prompt.
    head_mean : "weights" or "logits"
        Average the heads' attention weights (FastV), or their logits, before a single softmax.

    Raises
    ------
    ValueError
        If `queries` or `head_mean` is not one of these.

    Notes
    -----
    FastV, arXiv 2403.06764, section 4: the score is the softmaxed attention, mean over heads, of
    the LAST row of a causal prefill, which is ``queries="last"``. A dMLLM has no such row: it
    attends both ways and has its answer in the sequence, so the default asks the rows of the
    answer. The adaptation in arXiv 2511.15098 is ``FastV("all", "logits")``: it asks all rows and
    averages the logits. Kept tokens stay in their original order; that adaptation leaves them in
    the order of scores, and drops them between a layer's attention and its MLP.
    """

    queries: Queries = "response"
    head_mean: HeadMean = "weights"

    source: ClassVar[str] = "FastV, arXiv 2403.06764"
    site = "layer"

    def __post_init__(self) -> None:
        for name, allowed in (("queries", get_args(Queries)), ("head_mean", get_args(HeadMean))):
            if getattr(self, name) not in allowed:
                raise ValueError(not_allowed(name, getattr(self, name), allowed))

    def default_layer(self, n_layers: int) -> int:
        """The paper's K: tokens go before the third layer."""
        return min(2, n_layers - 1)

    @property
    def _key(self) -> str:
        return self.queries + (":logits" if self.head_mean == "logits" else "")

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # it follows from the options
        """The attention received from the rows of `queries`."""
        return frozenset({f"attention:{self._key}"})

    def score(self, view: VisualView) -> Tensor:
        """Attention (N,) that each token received; higher is kept.

        Raises
        ------
        CapabilityError
            If the view does not hold it.
        """
        try:
            return view.of(f"attention:{self._key}")
        except CapabilityError as error:
            raise CapabilityError(f"{self!r}: {error}") from error
