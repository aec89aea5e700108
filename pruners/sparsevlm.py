"""SparseVLM: the question's words rate the visual tokens; what is dropped is folded into a few."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.names import not_allowed
from saccade.controller.protocols import Site
from saccade.controller.views import Merge, Selection, VisualView
from saccade.pruners.base import ChoosingPruner, others, top_indices
from saccade.pruners.clusters import cluster

Text = Literal["prompt", "all"]
RECYCLED = 0.3
"""Share of the dropped tokens that is folded into others, the best rated first."""


@dataclass(frozen=True, repr=False)
class SparseVLM(ChoosingPruner):
    """Keep the visual tokens that the raters, words close to the picture, attend to most.

    Of what is dropped, the better 30 % are clustered, about ten to a cluster, and each cluster's
    mean stays, at the place of its centre. These count among the `n`.

    Parameters
    ----------
    text : "prompt" or "all"
        Whose words may rate: those of the prompt after the picture, or those of the answer too (as
        in arXiv 2511.15098), which are mostly masks.
    recycle : bool
        Fold dropped tokens into clusters; without it they are lost.
    rank_scale : float or None
        Keep ``rank_scale * rank + rank_bias`` tokens, where the rank is that of the raters'
        attention, but never more than `n` (SparseVLM v1.0: 13.5 and 0, 9 and 6, or 0.8 and 0).
        None: `n`.
    rank_bias : float

    Raises
    ------
    ValueError
        If `text` is not one of these.

    Notes
    -----
    SparseVLM, arXiv 2410.04417. Its layers and counts are those of the policy: ``by_layer`` with
    three layers (published: before layers 3, 7 and 16 of 32). Differs in that clusters stand at a
    place, instead of being appended with all tokens numbered anew, live on in later steps, and that
    ties are broken by order instead of noise.
    """

    text: Text = "prompt"
    recycle: bool = True
    rank_scale: float | None = None
    rank_bias: float = 0.0

    source: ClassVar[str] = "SparseVLM, arXiv 2410.04417"
    site: ClassVar[Site] = "layer"
    merges: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.text not in get_args(Text):
            raise ValueError(not_allowed("text", self.text, ("prompt", "all")))

    @property
    def needs(self) -> frozenset[str]:
        """Embeddings and attention of the words that may rate, and rows to cluster."""
        own = {"features", "hidden", "text", "rows:text"}
        return frozenset(own | ({"answer", "rows:answer"} if self.text == "all" else set()))

    @property
    def adaptive(self) -> bool:
        """Whether fewer than `n` may stay."""
        return self.rank_scale is not None

    def default_layer(self, n_layers: int) -> int:
        """The paper's first: before the third layer."""
        return min(2, n_layers - 1)

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens, or fewer by rank.

        Raises
        ------
        PlanError
            If there is no word to rate by, or something is NaN.
        """
        total = len(view)
        words, rows = view.of("text"), view.of("rows:text")
        if self.text == "all":
            words = torch.cat([words, view.of("answer")])
            rows = torch.cat([rows, view.of("rows:answer")])
        if not len(words):
            raise PlanError(
                f"{self!r}: there is no word after the picture that could rate it; ask something "
                "behind it, or take a pruner that reads no words, such as divprune"
            )
        chosen = rater_indices(rater_scores(view.features, words))
        attention = rows[chosen]
        scores = attention.mean(dim=0)
        if self.rank_scale is not None:
            ranked = rank_count(attention, self.rank_scale, self.rank_bias)[1]
            n = n if ranked is None else min(n, ranked)
        merged = clusters_within(n, total) if self.recycle else 0
        keep = top_indices(scores, n - merged)
        if not merged:
            return Selection(keep)
        return recycled(view.of("hidden"), scores.cpu(), keep, merged)


def rater_scores(visual: Tensor, words: Tensor) -> Tensor:
    """How close each word is to the picture (T,): its share in the softmax over words of the inner
    products with a visual token, mean over the visual tokens. Entries (N, D) and (T, D)."""
    shares = (visual.float() @ words.float().T).softmax(dim=1)
    return shares.mean(dim=0)


def rater_indices(scores: Tensor) -> Tensor:
    """Words (ascending) whose score is above the mean; all where none is, as all are alike.

    Raises
    ------
    PlanError
        If scores are NaN.
    """
    if bool(scores.isnan().any()):
        raise PlanError("features are NaN or infinite: SparseVLM cannot rate words by them")
    above = (scores > scores.mean()).nonzero()[:, 0]
    return above if len(above) else torch.arange(len(scores), device=scores.device)


def rank_count(attention: Tensor, scale: float, bias: float) -> tuple[int, int | None]:
    """Rank of the raters' attention (R, v), and how many of v tokens stay by it: None for all."""
    rank, total = int(torch.linalg.matrix_rank(attention.float())), attention.shape[1]
    if rank == total:
        return rank, None
    return rank, max(0, min(int(rank * scale + bias), total - 1))


def n_recycled(dropped: int) -> tuple[int, int]:
    """How many of the dropped tokens are folded, and into how many clusters."""
    if dropped <= 0:
        return 0, 0
    folded = int(RECYCLED * dropped) + 1
    return folded, int(folded / 10) + 1


def clusters_within(n: int, total: int) -> int:
    """How many of `n` tokens that stay are clusters, so that kept tokens and clusters are `n`."""
    for merged in range(n + 1):
        if n_recycled(total - (n - merged))[1] <= merged:
            return merged
    return n


def recycled(hidden: Tensor, scores: Tensor, keep: Tensor, clusters: int) -> Selection:
    """A selection of `keep` (k,) and of `clusters` means of dropped tokens.

    Parameters
    ----------
    hidden : Tensor (N, D)
        What is clustered.
    scores : Tensor (N,), on the CPU
    keep : Tensor (k,) int64, on the CPU
    clusters : int
        At most the number that is dropped.
    """
    dropped = others(keep, len(scores))
    folded = max(n_recycled(len(dropped))[0], clusters)
    order = scores[dropped].float().sort(descending=True, stable=True).indices[:folded]
    sources = dropped[order]
    found = cluster(hidden[sources.to(hidden.device)].float(), clusters)
    centers, assigned = found.centers.cpu(), found.assigned.cpu()
    into = sources[centers][assigned]
    counts = torch.bincount(assigned, minlength=clusters)
    weight = 1.0 / (counts[assigned].float() + 1e-6)
    kept = torch.cat([keep, sources[centers]]).sort().values
    return Selection(kept, Merge(into, sources, weight))
