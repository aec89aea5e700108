"""Policies: how much, where and when."""

from saccade.controller.policies.after_share import AfterShare
from saccade.controller.policies.after_steps import AfterSteps
from saccade.controller.policies.by_layer import ByLayer
from saccade.controller.policies.keep import Keep
from saccade.controller.policies.vtw import VTW
from saccade.controller.registry import policies

policies.register("keep", Keep)
policies.register("after-share", AfterShare)
policies.register("after-steps", AfterSteps)
policies.register("by-layer", ByLayer)
policies.register("vtw", VTW)

__all__ = ["VTW", "AfterShare", "AfterSteps", "ByLayer", "Keep"]
