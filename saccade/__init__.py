"""Faster diffusion multimodal language models: look at the picture only when it matters.

The public names are resolved on first use, so ``import saccade`` is light: neither torch nor
transformers is loaded until something needs them.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saccade.backbones import load
    from saccade.controller import (
        VTW,
        Abstain,
        AfterShare,
        AfterSteps,
        Auto,
        ByLayer,
        Clamp,
        Compose,
        ConfidentCommits,
        Controller,
        Cumulative,
        Drop,
        EveryNSteps,
        Generation,
        Keep,
        LayerSkip,
        Plan,
        Progressive,
        Trace,
        WithRefresh,
    )
    from saccade.pruners import (
        DART,
        TRIM,
        DivPrune,
        FastV,
        LLaDAFastV,
        PruMerge,
        PyramidDrop,
        Random,
        Redundant,
        RedVTP,
        SparseVLM,
        ToMe,
        UniformGrid,
        VisionZip,
        VisPruner,
    )

__version__ = "0.1.0"

__all__ = [
    "Abstain",
    "AfterShare",
    "AfterSteps",
    "Auto",
    "ByLayer",
    "Clamp",
    "Compose",
    "ConfidentCommits",
    "Controller",
    "Cumulative",
    "DART",
    "DivPrune",
    "Drop",
    "EveryNSteps",
    "FastV",
    "Generation",
    "Keep",
    "LLaDAFastV",
    "LayerSkip",
    "Plan",
    "Progressive",
    "PruMerge",
    "PyramidDrop",
    "Random",
    "RedVTP",
    "Redundant",
    "SparseVLM",
    "TRIM",
    "ToMe",
    "Trace",
    "UniformGrid",
    "VTW",
    "VisPruner",
    "VisionZip",
    "WithRefresh",
    "load",
]

_HERE = Path(__file__).parent
if not (_HERE / "controller").is_dir():  # a checkout: the five folders lie beside this one
    __path__.append(str(_HERE.parent))

_HOMES = {
    "load": "saccade.backbones",
    "AfterShare": "saccade.controller",
    "AfterSteps": "saccade.controller",
    "ByLayer": "saccade.controller",
    "Controller": "saccade.controller",
    "Drop": "saccade.controller",
    "Generation": "saccade.controller",
    "Keep": "saccade.controller",
    "Plan": "saccade.controller",
    "Abstain": "saccade.controller",
    "Auto": "saccade.controller",
    "Clamp": "saccade.controller",
    "Compose": "saccade.controller",
    "ConfidentCommits": "saccade.controller",
    "Cumulative": "saccade.controller",
    "EveryNSteps": "saccade.controller",
    "LayerSkip": "saccade.controller",
    "Progressive": "saccade.controller",
    "WithRefresh": "saccade.controller",
    "Trace": "saccade.controller",
    "VTW": "saccade.controller",
    "DART": "saccade.pruners",
    "DivPrune": "saccade.pruners",
    "FastV": "saccade.pruners",
    "LLaDAFastV": "saccade.pruners",
    "PruMerge": "saccade.pruners",
    "PyramidDrop": "saccade.pruners",
    "Random": "saccade.pruners",
    "RedVTP": "saccade.pruners",
    "Redundant": "saccade.pruners",
    "SparseVLM": "saccade.pruners",
    "TRIM": "saccade.pruners",
    "ToMe": "saccade.pruners",
    "UniformGrid": "saccade.pruners",
    "VisPruner": "saccade.pruners",
    "VisionZip": "saccade.pruners",
}

if not TYPE_CHECKING:  # a type checker would take any name for granted

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'saccade' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
