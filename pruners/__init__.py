"""Pruners: which visual tokens stay. One published method per file."""

from saccade.controller.registry import pruners
from saccade.pruners.base import ScorePruner
from saccade.pruners.checks import check_pruner
from saccade.pruners.divprune import DivPrune
from saccade.pruners.fastv import FastV
from saccade.pruners.random import Random

pruners.register("random", Random)
pruners.register("divprune", DivPrune)
pruners.register("fastv", FastV)

__all__ = ["DivPrune", "FastV", "Random", "ScorePruner", "check_pruner"]
