"""Models and how they decode; they execute plans and report signals."""

from saccade.backbones.decoding.causal_settings import CausalSettings
from saccade.backbones.decoding.lavida_settings import LavidaSettings
from saccade.backbones.decoding.settings import GenerateSettings
from saccade.backbones.decoding.step_view import StepView
from saccade.backbones.loading import embedded_models, load
from saccade.backbones.model import Model
from saccade.backbones.prepare import Prepared

__all__ = [
    "CausalSettings",
    "GenerateSettings",
    "LavidaSettings",
    "Model",
    "Prepared",
    "StepView",
    "embedded_models",
    "load",
]
