"""Facts about this installation and machine."""

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from saccade import __version__

DISTRIBUTION = "saccade-dmllm"
"""Name on the package index; "saccade" there belongs to another project."""
NEEDED = {
    "torch": "torch",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "pillow": "PIL",
    "numpy": "numpy",
    "pydantic": "pydantic",
    "pyyaml": "yaml",
    "typer": "typer",
    "rich": "rich",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "plotly": "plotly",
    "jinja2": "jinja2",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
}
"""Modules of the distributions that Saccade depends on."""


def versions() -> dict[str, str]:
    """Versions of Saccade, Python and everything needed."""
    own = {DISTRIBUTION: __version__, "python": platform.python_version()}
    return own | {name: _version(name) or "missing" for name in NEEDED}


def broken_imports() -> list[str]:
    """What is needed but cannot be imported, and why."""
    broken = []
    for name, module in NEEDED.items():
        try:
            import_module(module)
        except Exception as error:  # a package may break in any way
            broken.append(f"{name}: {error}")
    return broken


def device_facts() -> dict[str, Any]:
    """Processor, cores, threads, and GPUs with their memory."""
    import torch

    from saccade.studies.runs.recipe import cpu_name

    gpus = []
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        gpus.append(f"cuda:{number} {facts.name} ({facts.total_memory / 2**30:.0f} GiB)")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def extensions() -> dict[str, str]:
    """What other installed packages offer, by kind and name: whose it is, or what is wrong."""
    from saccade.controller.errors import ExtensionError
    from saccade.controller.registry import policies, pruners
    from saccade.studies.tasks import metrics, tasks

    found = {}
    for registry in (policies, pruners, tasks, metrics):
        for name in registry.offered():
            try:
                registry.factory(name)
                found[f"{registry.what} {name}"] = registry.origin(name)
            except ExtensionError as error:
                found[f"{registry.what} {name}"] = f"BROKEN: {error}"
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
