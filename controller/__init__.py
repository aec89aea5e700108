"""The heart: plans, policies, signals, the session of one generate call, and its trace."""

from saccade.controller.controller import Controller
from saccade.controller.errors import (
    CapabilityError,
    CheckpointError,
    ContractError,
    ExtensionError,
    LearnedError,
    NonFiniteError,
    PlanError,
    PresetError,
    SaccadeError,
    StudyError,
    UnknownNameError,
)
from saccade.controller.expressions import parse_policy, parse_pruner
from saccade.controller.plan import CommitRule, Drop, Plan
from saccade.controller.policies import (
    VTW,
    Abstain,
    AfterShare,
    AfterSteps,
    Auto,
    ByLayer,
    Clamp,
    Compose,
    ConfidentCommits,
    Cumulative,
    EveryNSteps,
    Keep,
    LayerSkip,
    Learned,
    Progressive,
    WithRefresh,
)
from saccade.controller.policy import BasePolicy
from saccade.controller.policy_checks import check_policy
from saccade.controller.preset import Preset
from saccade.controller.protocols import Pruner
from saccade.controller.registry import policies, pruners
from saccade.controller.session import Session
from saccade.controller.signals import SignalChange, Signals
from saccade.controller.step_record import StepRecord
from saccade.controller.trace import Generation, Trace
from saccade.controller.tunable import Tunable, tunables
from saccade.controller.types import (
    BackboneSpec,
    Geometry,
    LayeredGeometry,
    LayerGeometry,
    Segments,
    StepState,
)
from saccade.controller.views import Merge, Selection, VisualView

__all__ = [
    "VTW",
    "Abstain",
    "AfterShare",
    "AfterSteps",
    "Auto",
    "BackboneSpec",
    "BasePolicy",
    "ByLayer",
    "CapabilityError",
    "SignalChange",
    "CheckpointError",
    "Clamp",
    "CommitRule",
    "Compose",
    "ConfidentCommits",
    "ContractError",
    "Controller",
    "Cumulative",
    "Drop",
    "EveryNSteps",
    "ExtensionError",
    "Generation",
    "Geometry",
    "Keep",
    "LayerGeometry",
    "LayeredGeometry",
    "LayerSkip",
    "Learned",
    "LearnedError",
    "Merge",
    "Plan",
    "NonFiniteError",
    "PlanError",
    "Preset",
    "PresetError",
    "Progressive",
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
    "Tunable",
    "UnknownNameError",
    "VisualView",
    "WithRefresh",
    "check_policy",
    "parse_policy",
    "parse_pruner",
    "policies",
    "pruners",
    "tunables",
]
