"""Policies: how much, where and when."""

from saccade.controller.policies.abstain import Abstain
from saccade.controller.policies.after_share import AfterShare
from saccade.controller.policies.after_steps import AfterSteps
from saccade.controller.policies.auto import Auto
from saccade.controller.policies.by_layer import ByLayer
from saccade.controller.policies.clamp import Clamp
from saccade.controller.policies.compose import Compose
from saccade.controller.policies.confident_commits import ConfidentCommits
from saccade.controller.policies.cumulative import Cumulative
from saccade.controller.policies.every_n_steps import EveryNSteps
from saccade.controller.policies.keep import Keep
from saccade.controller.policies.layer_skip import LayerSkip
from saccade.controller.policies.learned import Learned
from saccade.controller.policies.progressive import Progressive
from saccade.controller.policies.vtw import VTW
from saccade.controller.policies.with_refresh import WithRefresh
from saccade.controller.registry import policies

policies.register("abstain", Abstain)
policies.register("after_share", AfterShare)
policies.register("after_steps", AfterSteps)
policies.register("auto", Auto)
policies.register("by_layer", ByLayer)
policies.register("clamp", Clamp)
policies.register("compose", Compose)
policies.register("confident_commits", ConfidentCommits)
policies.register("cumulative", Cumulative)
policies.register("every_n_steps", EveryNSteps)
policies.register("keep", Keep)
policies.register("layer_skip", LayerSkip)
policies.register("learned", Learned)
policies.register("progressive", Progressive)
policies.register("vtw", VTW)
policies.register("with_refresh", WithRefresh)

__all__ = [
    "VTW",
    "Abstain",
    "AfterShare",
    "AfterSteps",
    "Auto",
    "ByLayer",
    "Clamp",
    "Compose",
    "ConfidentCommits",
    "Cumulative",
    "EveryNSteps",
    "Keep",
    "LayerSkip",
    "Learned",
    "Progressive",
    "WithRefresh",
]
