"""Fixed schedules: drop once a share of the steps is done."""

from dataclasses import dataclass, field

from saccade.controller.arguments import check_bool, check_fraction, check_int
from saccade.controller.plan import Drop
from saccade.controller.policies.reducing import Reducing
from saccade.controller.types import StepState


@dataclass(slots=True, repr=False)
class AfterShare(Reducing):
    """Reduce the visual tokens once `share` of the steps is done, for the rest of the call.

    Parameters
    ----------
    share : float
        Share of the steps that run in full first, in [0, 1]; 0 drops from the first step on. The
        number of full steps is ``ceil(share * n_steps)``, the same for every pruner.
    keep : float
        Share of the visual tokens that stays, in [0, 1].
    layer : int or None
        Layer before which the first reduced step drops; None for that of the pruner's method.
        Pruners that read attention need 1 or more.
    hold : bool
        True: what was dropped before `layer` in one step stays out of ALL layers in later steps
        (as the published adaptations to dMLLMs do). False: every step drops before `layer`. Either
        way the pruner chooses once, in the first reduced step, and its choice is used again.
    early : int
        Full steps fewer than the share says. 0: the same number for every method. 1: as in the
        published scripts of FastV, VTW and SparseVLM (and of DivPrune for LaViDa), which count
        otherwise than DivPrune's for LLaDA-V.

    Raises
    ------
    ValueError
        If `share` or `keep` is not a number in [0, 1], `layer` or `early` not a whole number from
        0, or `hold` neither True nor False.

    Notes
    -----
    The schedules of arXiv 2511.15098, tables 1 to 3: from the first step, or after 25, 50, 75 % of
    the steps. The published scripts differ by one step between methods; here none does by itself.
    """

    share: float
    keep: float
    layer: int | None = None
    hold: bool = True
    early: int = 0
    _dropped: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.share, self.keep = (
            check_fraction("share", self.share),
            check_fraction("keep", self.keep),
        )
        self.layer = None if self.layer is None else check_int("layer", self.layer)
        self.hold = check_bool("hold", self.hold)
        self.early = check_int("early", self.early)

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """The first drop, if there will be one; later ones use its choice again."""
        never = self.share == 1 and not self.early
        return frozenset() if never else frozenset({Drop(self.layer or 0, self.keep)})

    def _due(self, state: StepState) -> bool:
        """Whether the share is done."""
        # In floats 0.07 * 100 is a little more than 7.
        return state.step >= self.share * state.n_steps - self.early - 1e-9
