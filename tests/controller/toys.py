"""A model that only counts, and parts to control it with."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from saccade.controller import (
    BackboneSpec,
    BasePolicy,
    Controller,
    Geometry,
    Plan,
    Selection,
    Session,
    Signals,
    StepState,
    VisualView,
)
from saccade.controller.protocols import Site

SPEC = BackboneSpec(
    name="toy",
    origin="from-scratch",
    geometry=Geometry(4, 32, 48, 4, 4, 64),
    mask_id=63,
    forbidden_ids=(),
    logit_shift=False,
    can=frozenset({"drop", "features", "confidence", "site:entry"}),
)
STATE = StepState(0, 4, 0, 1, 8, 0)


class Toy:
    """As much of a model as a controller needs."""

    def __init__(self, spec: BackboneSpec = SPEC) -> None:
        self.controller: Controller | None = None
        self.spec = spec

    def generate(self, prompt: str, controller: Controller | None = None, **options: Any) -> Any:
        """Answer."""
        return prompt, controller or self.controller, options

    def prepare(self, prompt: str) -> str:
        return prompt


@dataclass(repr=False)
class Scripted(BasePolicy):
    """Plans what it is told to, and counts."""

    plans: list[Any]
    reads: frozenset[str] = frozenset()
    asked: int = 0
    resets: int = 0

    def plan(self, state: StepState, signals: Signals | None) -> Plan:
        self.asked += 1
        plan = self.plans[self.asked - 1]
        assert plan is not None
        return plan  # type: ignore[no-any-return]

    def reset(self) -> None:
        self.resets += 1


@dataclass
class Needing:
    """A pruner that needs one thing, and keeps the first."""

    name: str
    site: Site = "entry"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.name})

    def select(self, view: VisualView, n: int) -> Selection:
        return Selection(torch.arange(n))


def view_of(n: int) -> VisualView:
    return VisualView(torch.eye(n), torch.zeros(n, 2), torch.zeros(n, dtype=torch.int64))


def session(policy: Any, pruner: Any = None, n: int = 1, spec: BackboneSpec = SPEC) -> Session:
    return Controller(policy, pruner, probe=frozenset()).session(spec, n)


# --- attaching --------------------------------------------------------------------------------


LAYERED = dataclasses.replace(
    SPEC, can=SPEC.can | {"attention", "attention:response", "site:layer"}
)
