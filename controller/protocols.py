"""What a policy and a pruner are. Third parties need to inherit nothing."""

from typing import Literal, Protocol, runtime_checkable

from saccade.controller.plan import Plan
from saccade.controller.types import Selection, Signals, StepState, VisualView

Site = Literal["tower", "entry", "layer"]
SIGNALS = frozenset({"attention", "confidence", "entropy"})
"""What a policy may read."""
VIEW_FIELDS = frozenset({"features", "centres"}).union(
    f"attention:{rows}{how}" for rows in ("response", "all", "last") for how in ("", ":logits")
)
"""What a pruner may ask of a view; see `VisualView`."""


@runtime_checkable
class Policy(Protocol):
    """Says how much, where and when. One copy (`copy.deepcopy`) works on one sequence.

    Attributes
    ----------
    reads : frozenset of str
        Signals it uses, e.g. ``{"attention", "confidence"}``; empty for fixed schedules.
    drops_ahead : collection of Drop, optional
        Drops for which it may ask the pruner to choose, if they are known beforehand: whether they
        can be carried out is then checked when the controller is attached. Without it, a drop is
        checked when it is planned.
    """

    @property
    def reads(self) -> frozenset[str]: ...

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Plan the next step; `signals` are those of the step before, None before the first."""
        ...

    def reset(self) -> None:
        """Forget everything; called before each sequence."""
        ...


@runtime_checkable
class Pruner(Protocol):
    """Says which visual tokens stay, given how many.

    Attributes
    ----------
    needs : frozenset of str
        Fields of the view it uses, of `VIEW_FIELDS`: "features", "attention:response", ...
    site : Site
        Where its method acts: inside the vision tower, before the stack, or before a later layer.
        The backbone must have that place; the policy still says before which layer tokens go.
    """

    @property
    def needs(self) -> frozenset[str]: ...

    @property
    def site(self) -> Site: ...

    def select(self, view: VisualView, n: int) -> Selection:
        """Choose `n` of the view's tokens."""
        ...
