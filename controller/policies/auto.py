"""The default: what the study found for the kind of model at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.plan import Plan
from saccade.controller.policies.abstain import Abstain
from saccade.controller.policies.compose import Compose
from saccade.controller.policies.confident_commits import ConfidentCommits
from saccade.controller.policies.keep import Keep
from saccade.controller.policies.layer_skip import LayerSkip
from saccade.controller.policies.progressive import Progressive
from saccade.controller.policy import BasePolicy, DefaultPruner
from saccade.controller.protocols import Pruner
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import BackboneSpec, StepState
from saccade.controller.view_fields import BEFORE


@dataclass(frozen=True, repr=False)
class _Rest(Keep):
    """Nothing, and why."""

    reason: str

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        return Plan().because(self.reason)


@dataclass(repr=False)
class Auto(BasePolicy):
    """Choose the policy by how the backbone was trained.

    From scratch: `Progressive` and `LayerSkip`. AR to diffusion: `LayerSkip`. Both with
    `ConfidentCommits`, and nothing of it on short answers (`Abstain`). Autoregressive: `Keep`.

    Parameters
    ----------
    commit : float or None
        Confidence from which positions are committed in addition to the schedule's; None: by the
        schedule alone.
    layers : sequence of int, optional
        Layers that a calibration found, instead of those measured online.
    steps : int
        Least steps of a call that is not left alone.
    """

    commit: float | None = tunable(0.95, 0.5, 1.0, "probability")
    layers: Sequence[int] | None = None
    steps: int = tunable(6, 1, 32, "steps", log=True)

    default_pruner: ClassVar[DefaultPruner] = Progressive.default_pruner

    def __post_init__(self) -> None:
        skips = self._parts()["bypass"]  # made here, so that wrong numbers are noticed
        assert isinstance(skips, LayerSkip)
        self.layers = skips.layers
        self.steps = Abstain(Keep(), self.steps).steps

    def _parts(self) -> dict[str, BasePolicy]:
        """The policies there are, by the action of a plan that each needs."""
        skips = LayerSkip(layers=self.layers)
        parts: dict[str, BasePolicy] = {"drop": Progressive(), "bypass": skips}
        if self.commit is not None:
            parts["commit"] = ConfidentCommits(self.commit)
        return parts

    def bind(self, spec: BackboneSpec, pruner: Pruner | None = None) -> BasePolicy:
        """What a backbone of this origin gets, as far as it can carry it out."""
        parts = self._parts()
        if spec.origin != "from-scratch" or not BEFORE & spec.can:  # as its default pruner reads
            del parts["drop"]
        able = [p for action, p in parts.items() if action in spec.can and p.reads <= spec.can]
        if spec.origin == "autoregressive":
            return _Rest("autoregressive models are left alone")
        if not able:
            return _Rest(f"{spec.name} can do nothing of what auto does")
        return Abstain(Compose(able), self.steps)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Nothing: the plans are those of the policy that is bound to a backbone."""
        return Plan()
