"""What a policy and a pruner are. Third parties need to inherit nothing."""

from typing import Literal, Protocol, runtime_checkable

from saccade.controller.types import Plan, Selection, Signals, StepState, VisualView

Site = Literal["tower", "entry", "layer"]


@runtime_checkable
class Policy(Protocol):
    """Says how much, where and when. One copy works on one sequence.

    Attributes
    ----------
    reads : frozenset of str
        Signals it uses, e.g. ``{"attention", "confidence"}``; empty for fixed schedules.
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
        Fields of the view it uses: "features", "centres", "attention:response", ...
    site : Site
        Where it can act: inside the vision tower, before the stack, or before a later layer.
    """

    @property
    def needs(self) -> frozenset[str]: ...

    @property
    def site(self) -> Site: ...

    def select(self, view: VisualView, n: int) -> Selection:
        """Choose `n` of the view's tokens."""
        ...
