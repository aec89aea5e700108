"""What every scoring pruner shares: how scores become a selection."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saccade.controller.errors import PlanError
from saccade.controller.protocols import Site
from saccade.controller.text_form import text_form
from saccade.controller.views import Selection, VisualView


def check_count(n: int, total: int) -> None:
    """Refuse a number of tokens that cannot be chosen.

    Parameters
    ----------
    n : int
        How many tokens shall stay.
    total : int
        How many there are.

    Raises
    ------
    PlanError
        If `n` lies outside 0 to `total`.
    """
    if not 0 <= n <= total:
        raise PlanError(f"n={n}: of {total} visual tokens, 0 to {total} can stay")


def top_indices(scores: Tensor, n: int) -> Tensor:
    """Indices of the `n` highest scores, ranked on the host: one copy brings the scores there.

    Parameters
    ----------
    scores : Tensor (N,)
        Compared in float32; higher is kept. Infinities are allowed.
    n : int
        0 to N.

    Returns
    -------
    Tensor (n,) int64, on the CPU
        Ascending and distinct. Of equal scores the one with the lower index is kept.

    Raises
    ------
    PlanError
        If `scores` is not of shape (N,) or holds NaN, or `n` lies outside 0 to N.
    """
    if scores.ndim != 1:
        raise PlanError(f"scores of shape {tuple(scores.shape)}: one per token, (N,), is needed")
    check_count(n, len(scores))
    scores = scores.detach().float().cpu()
    n_nan = int(scores.isnan().sum())
    if n_nan:
        raise PlanError(f"{n_nan} of {len(scores)} scores are NaN: they cannot be ranked")
    # torch.topk leaves open which of several equal scores it takes.
    order = torch.sort(scores, descending=True, stable=True).indices
    return order[:n].sort().values


def check_finite(what: str, values: Tensor, pruner: object) -> Tensor:
    """The values, if all are finite.

    Raises
    ------
    PlanError
        Naming what they are.
    """
    bad = int((~values.isfinite()).sum())
    if bad:
        raise PlanError(
            f"{pruner!r}: {bad} of {values.numel()} entries of {what} are not finite numbers"
        )
    return values


def others(keep: Tensor, total: int) -> Tensor:
    """Ascending indices of the tokens that are not among `keep` (k,), both on the CPU."""
    return torch.ones(total, dtype=torch.bool).index_fill_(0, keep, False).nonzero()[:, 0]


def last_dropped(keep: Tensor, centers: Tensor) -> Tensor:
    """The last token (1,) that is not kept and has a place in the picture, if there is such a one:
    where a sum of what is dropped may stand."""
    rest = others(keep, len(centers))
    placed = rest[~centers[:, 0].isnan().cpu()[rest]]
    return (placed if len(placed) else rest)[-1:]


class ChoosingPruner(ABC):
    """A pruner that is asked only where something is to be decided: write `choose`, and say `needs`
    and `site`.

    Attributes
    ----------
    merges : bool
        Whether its selections may hold a merge or features of their own.
    adaptive : bool
        Whether it may keep fewer tokens than it is asked for.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # read-only, so that a subclass may have attributes or properties

        @property
        def merges(self) -> bool: ...
        @property
        def adaptive(self) -> bool: ...
    else:
        merges = adaptive = False

    def default_layer(self, n_layers: int) -> int:
        """The layer of `n_layers` before which its method drops, where a policy names none."""
        return 0

    def __repr__(self) -> str:
        return text_form(self)

    @abstractmethod
    def choose(self, view: VisualView, n: int) -> Selection:
        """Choose `n` of the view's N tokens, where n is neither 0 nor N."""

    def select(self, view: VisualView, n: int) -> Selection:
        """Keep `n` tokens: none, all, or what `choose` says.

        Raises
        ------
        PlanError
            If `n` lies outside 0 to N, as well as for what `choose` raises.
        """
        check_count(n, len(view))
        return Selection(torch.arange(n)) if n in (0, len(view)) else self.choose(view, n)


class ScorePruner(ChoosingPruner):
    """A pruner that ranks: write `score`, and the best `n` tokens stay.

    Attributes
    ----------
    needs : frozenset of str
        Fields of the view that `score` reads; the features unless a subclass says otherwise.
    site : Site
        Where it can act; before the stack unless a subclass says otherwise.
    """

    needs: frozenset[str] = frozenset({"features"})
    site: Site = "entry"

    @abstractmethod
    def score(self, view: VisualView) -> Tensor:
        """Score the tokens.

        Parameters
        ----------
        view : VisualView
            Of N tokens.

        Returns
        -------
        Tensor (N,)
            Higher is kept.
        """

    def choose(self, view: VisualView, n: int) -> Selection:
        """Keep the `n` tokens with the highest scores; of equal ones, those that come first.

        Raises
        ------
        PlanError
            If the scores are not (N,) numbers.
        """
        scores = self.score(view)
        if scores.shape != (len(view),):
            raise PlanError(
                f"{self!r} gave scores of shape {tuple(scores.shape)}, not ({len(view)},)"
            )
        try:
            return Selection(top_indices(scores, n))
        except PlanError as error:
            raise PlanError(f"{self!r}: {error}") from error
