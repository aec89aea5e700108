"""The heart: plans, policies, signals, the session of one generate call, and its trace."""

from saccade.controller.controller import Controller
from saccade.controller.errors import (
    CapabilityError,
    CheckpointError,
    PlanError,
    SaccadeError,
    StudyError,
    UnknownNameError,
)
from saccade.controller.plan import CommitRule, Drop, Plan
from saccade.controller.policies import VTW, AfterShare, AfterSteps, ByLayer, Keep
from saccade.controller.protocols import Policy, Pruner
from saccade.controller.registry import policies, pruners
from saccade.controller.session import Session
from saccade.controller.trace import Generation, StepRecord, Trace
from saccade.controller.types import BackboneSpec, Geometry, Segments, Signals, StepState
from saccade.controller.views import Merge, Selection, VisualView

__all__ = [
    "VTW",
    "AfterShare",
    "AfterSteps",
    "BackboneSpec",
    "ByLayer",
    "CapabilityError",
    "CheckpointError",
    "CommitRule",
    "Controller",
    "Drop",
    "Generation",
    "Geometry",
    "Keep",
    "Merge",
    "Plan",
    "PlanError",
    "Policy",
    "Pruner",
    "SaccadeError",
    "Segments",
    "Selection",
    "Session",
    "Signals",
    "StepRecord",
    "StepState",
    "StudyError",
    "Trace",
    "UnknownNameError",
    "VisualView",
    "policies",
    "pruners",
]
