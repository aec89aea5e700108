"""Models and their denoising loop; they execute plans and report signals."""

from saccade.backbones.decoding.denoise import StepView
from saccade.backbones.decoding.settings import GenerateSettings
from saccade.backbones.loading import embedded_models, load
from saccade.backbones.model import Model
from saccade.backbones.prepare import Prepared

__all__ = [
    "Model",
    "GenerateSettings",
    "Prepared",
    "StepView",
    "embedded_models",
    "load",
]
