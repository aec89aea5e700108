"""What a policy and a pruner are. Third parties need to inherit nothing."""

from typing import Literal, Protocol, runtime_checkable

from saccade.controller.plan import Plan
from saccade.controller.signals import Signals
from saccade.controller.types import StepState
from saccade.controller.views import Selection, VisualView

Site = Literal["tower", "entry", "layer"]


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
    plan_ahead : Plan, optional
        Layers that it may skip and how it commits, if known beforehand: checked then, too.
    reselects : bool, optional
        Whether it may ask the pruner again in the same call; False without it.
    watches : callable, optional
        ``watches(state) -> bool``: whether it will read the attention of the step that `state`
        begins; asked after `plan`. Always, without it, if it reads attention.
    rests : bool, optional
        Whether it will plan nothing more in this call, so that nothing is measured for it; asked
        after `plan`. False without it.
    fitted : callable, optional
        ``fitted(spec) -> Policy``: the policy for a backbone, where it depends on that.
    default_pruner : (str, mapping), optional
        Registered name and options of the pruner that chooses for it where none is given.
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
        Where its method acts: in the vision tower or on what it gives, before the stack, or before
        a later layer. The backbone must have that place; the policy still says before which layer
        tokens go, which for methods of the tower can only be layer 0.
    merges : bool, optional
        Whether its selections may hold a merge or features of their own; False without it.
    adaptive : bool, optional
        Whether it may keep fewer tokens than it is asked for; False without it.
    """

    @property
    def needs(self) -> frozenset[str]: ...

    @property
    def site(self) -> Site: ...

    def select(self, view: VisualView, n: int) -> Selection:
        """Choose `n` of the view's tokens."""
        ...
