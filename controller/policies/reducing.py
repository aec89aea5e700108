"""What fixed schedules with one drop share: when it is due, they drop, and stay with it."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, cast

from saccade.controller.plan import Drop, Plan
from saccade.controller.policy import BasePolicy
from saccade.controller.protocols import Pruner
from saccade.controller.signals import Signals
from saccade.controller.types import BackboneSpec, StepState


class Reducing(BasePolicy):
    """Drops to `keep` before `layer` from the step on in which it is due.

    Attributes
    ----------
    keep : float
    layer : int or None
    hold : bool
        As in `AfterShare`.
    """

    keep: float
    layer: int | None
    hold: bool
    _dropped: bool

    @abstractmethod
    def _due(self, state: StepState) -> bool:
        """Whether enough steps have run in full."""

    @property
    def drops_ahead(self) -> frozenset[Drop]:
        """The first drop; later ones use its choice again."""
        return frozenset({Drop(self.layer or 0, self.keep)})

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> BasePolicy:
        """Before the layer where the pruner's method acts, if none was given."""
        if self.layer is not None:
            return self
        return cast(BasePolicy, replace(cast(Any, self), layer=default_layer(pruner, spec)))

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Drop if it is due."""
        if not self._due(state):
            return Plan()
        layer = 0 if self._dropped and self.hold else self.layer or 0
        self._dropped = True
        return Plan(drops=(Drop(layer, self.keep),))

    def reset(self) -> None:
        """Forget that anything was dropped."""
        self._dropped = False


def default_layer(pruner: Pruner | None, spec: BackboneSpec) -> int:
    """The layer before which a pruner's method drops in a backbone; 0 where it does not say."""
    own = getattr(pruner, "default_layer", None)
    return 0 if own is None else int(own(spec.geometry.n_layers))
