"""The default: what the study found for the kind of model at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from saccade.controller.fitting import DefaultPruner
from saccade.controller.plan import Plan
from saccade.controller.policies.abstain import Abstain
from saccade.controller.policies.compose import Compose
from saccade.controller.policies.confident_commits import ConfidentCommits
from saccade.controller.policies.keep import Keep
from saccade.controller.policies.layer_skip import LayerSkip
from saccade.controller.policies.progressive import Progressive
from saccade.controller.protocols import Policy
from saccade.controller.signals import Signals
from saccade.controller.tunable import tunable
from saccade.controller.types import BackboneSpec, StepState
from saccade.controller.view_fields import BEFORE


@dataclass
class Auto:
    """Choose the policy by how the backbone was trained.

    From scratch: `Progressive` and `LayerSkip`. AR to diffusion: `LayerSkip`. Both with
    `ConfidentCommits`, and nothing of it on short answers (`Abstain`). Autoregressive: `Keep`.

    Parameters
    ----------
    commit : float or None
        Confidence from which positions are committed beside the schedule's; None: by the schedule
        alone.
    layers : sequence of int, or str, optional
        Layers that a calibration found, instead of those measured online.
    steps : int
        Least steps of a call that is not left alone.
    """

    commit: float | None = tunable(0.95, 0.5, 1.0, "probability")
    layers: Sequence[int] | str | None = None
    steps: int = tunable(6, 1, 32, "steps")

    default_pruner: ClassVar[DefaultPruner] = Progressive.default_pruner

    def __post_init__(self) -> None:
        self._parts()  # so that wrong numbers are noticed
        Abstain(Keep(), self.steps)

    @property
    def reads(self) -> frozenset[str]:
        """Nothing: what the policy that is fitted to a backbone reads is its own matter."""
        return frozenset()

    def _parts(self) -> dict[str, Policy]:
        """The policies there are, by the action of a plan that each needs."""
        parts: dict[str, Policy] = {"drop": Progressive(), "bypass": LayerSkip(layers=self.layers)}
        if self.commit is not None:
            parts["commit"] = ConfidentCommits(self.commit)
        return parts

    def fitted(self, spec: BackboneSpec) -> Policy:
        """What a backbone of this origin gets, as far as it can carry it out."""
        parts = self._parts()
        if spec.origin != "from-scratch" or not BEFORE & spec.can:  # as its default pruner reads
            del parts["drop"]
        able = [p for action, p in parts.items() if action in spec.can and p.reads <= spec.can]
        if spec.origin == "autoregressive" or not able:
            return Keep()
        return Abstain(Compose(able), self.steps)

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        """Nothing: the plans are those of the policy that is fitted to a backbone."""
        return Plan()

    def reset(self) -> None:
        """Nothing to forget."""
