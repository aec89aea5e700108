"""What a pruner is. `saccade.pruners.base` has classes to inherit from, but none has to."""

from typing import Literal, Protocol, runtime_checkable

from saccade.controller.views import Selection, VisualView

Site = Literal["tower", "entry", "layer"]


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
    default_layer : callable, optional
        ``default_layer(n_layers) -> int``: the layer before which its method drops, where a policy
        names none; 0 without it.
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
