"""Models and how they decode; they execute plans and report signals."""

from saccade.backbones.decoding.causal.settings import CausalSettings
from saccade.backbones.decoding.lavida.settings import LavidaSettings
from saccade.backbones.decoding.llada.settings import GenerateSettings
from saccade.backbones.decoding.snapshot import Snapshot
from saccade.backbones.decoding.step_view import StepView
from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.loading import embedded_models, load
from saccade.backbones.model import Model
from saccade.backbones.published.wrap import wrap
from saccade.backbones.published.wrapped import Wrapped

__all__ = [
    "CausalSettings",
    "GenerateSettings",
    "LavidaSettings",
    "Model",
    "Prepared",
    "Snapshot",
    "StepView",
    "Wrapped",
    "embedded_models",
    "load",
    "wrap",
]
