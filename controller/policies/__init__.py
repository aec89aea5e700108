"""Policies: how much, where and when."""

from saccade.controller.policies.after_share import AfterShare
from saccade.controller.policies.keep import Keep
from saccade.controller.registry import policies

policies.register("keep", Keep)
policies.register("after-share", AfterShare)

__all__ = ["AfterShare", "Keep"]
