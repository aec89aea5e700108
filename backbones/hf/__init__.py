"""transformers' own multimodal classes as backbones: their calls, their returns, under a
controller."""

from saccade.backbones.hf.wrapped import WrappedModel, wrap_hf

__all__ = ["WrappedModel", "wrap_hf"]
