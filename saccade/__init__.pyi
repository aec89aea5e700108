"""The public names, for type checkers, editors, and the package itself: see ``__init__.py``."""

from saccade.backbones import Model as Model
from saccade.backbones import load as load
from saccade.controller import VTW as VTW
from saccade.controller import Abstain as Abstain
from saccade.controller import AfterShare as AfterShare
from saccade.controller import AfterSteps as AfterSteps
from saccade.controller import Auto as Auto
from saccade.controller import BasePolicy as BasePolicy
from saccade.controller import ByLayer as ByLayer
from saccade.controller import CapabilityError as CapabilityError
from saccade.controller import CheckpointError as CheckpointError
from saccade.controller import Clamp as Clamp
from saccade.controller import Compose as Compose
from saccade.controller import ConfidentCommits as ConfidentCommits
from saccade.controller import ContractError as ContractError
from saccade.controller import Controller as Controller
from saccade.controller import Cumulative as Cumulative
from saccade.controller import Drop as Drop
from saccade.controller import EveryNSteps as EveryNSteps
from saccade.controller import ExtensionError as ExtensionError
from saccade.controller import Generation as Generation
from saccade.controller import Keep as Keep
from saccade.controller import LayerSkip as LayerSkip
from saccade.controller import NonFiniteError as NonFiniteError
from saccade.controller import Plan as Plan
from saccade.controller import PlanError as PlanError
from saccade.controller import Progressive as Progressive
from saccade.controller import SaccadeError as SaccadeError
from saccade.controller import Signals as Signals
from saccade.controller import StepState as StepState
from saccade.controller import StudyError as StudyError
from saccade.controller import Trace as Trace
from saccade.controller import UnknownNameError as UnknownNameError
from saccade.controller import WithRefresh as WithRefresh
from saccade.controller import check_policy as check_policy
from saccade.controller import parse_policy as parse_policy
from saccade.controller import parse_pruner as parse_pruner
from saccade.pruners import DART as DART
from saccade.pruners import TRIM as TRIM
from saccade.pruners import DivPrune as DivPrune
from saccade.pruners import FastV as FastV
from saccade.pruners import LLaDAFastV as LLaDAFastV
from saccade.pruners import PruMerge as PruMerge
from saccade.pruners import PyramidDrop as PyramidDrop
from saccade.pruners import Random as Random
from saccade.pruners import Redundant as Redundant
from saccade.pruners import RedVTP as RedVTP
from saccade.pruners import SparseVLM as SparseVLM
from saccade.pruners import ToMe as ToMe
from saccade.pruners import UniformGrid as UniformGrid
from saccade.pruners import VisionZip as VisionZip
from saccade.pruners import VisPruner as VisPruner
from saccade.pruners import check_pruner as check_pruner

__version__: str
__all__: list[str]
