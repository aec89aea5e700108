"""Pruners: which visual tokens stay. One published method per file."""

from saccade.controller.registry import pruners
from saccade.pruners.base import ScorePruner
from saccade.pruners.checks import check_pruner
from saccade.pruners.dart import DART
from saccade.pruners.divprune import DivPrune
from saccade.pruners.fastv import FastV
from saccade.pruners.llada_fastv import LLaDAFastV
from saccade.pruners.prumerge import PruMerge
from saccade.pruners.pyramiddrop import PyramidDrop
from saccade.pruners.random import Random
from saccade.pruners.redundant import Redundant
from saccade.pruners.redvtp import RedVTP
from saccade.pruners.sparsevlm import SparseVLM
from saccade.pruners.tome import ToMe
from saccade.pruners.trim import TRIM
from saccade.pruners.uniform import UniformGrid
from saccade.pruners.visionzip import VisionZip
from saccade.pruners.vispruner import VisPruner

pruners.register("random", Random)
pruners.register("uniform", UniformGrid)
pruners.register("tome", ToMe)
pruners.register("divprune", DivPrune)
pruners.register("fastv", FastV)
pruners.register("sparsevlm", SparseVLM)
pruners.register("trim", TRIM)
pruners.register("visionzip", VisionZip)
pruners.register("prumerge", PruMerge)
pruners.register("vispruner", VisPruner)
pruners.register("pyramiddrop", PyramidDrop)
pruners.register("dart", DART)
pruners.register("redvtp", RedVTP)
pruners.register("redundant", Redundant)
pruners.register("llada_fastv", LLaDAFastV)

__all__ = [
    "DART",
    "DivPrune",
    "FastV",
    "LLaDAFastV",
    "PruMerge",
    "PyramidDrop",
    "Random",
    "RedVTP",
    "Redundant",
    "ScorePruner",
    "SparseVLM",
    "ToMe",
    "TRIM",
    "UniformGrid",
    "VisPruner",
    "VisionZip",
    "check_pruner",
]
