"""Facts about this installation and machine."""

import os
import platform
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Any

from saccade import __version__

NEEDED = {
    "torch": "torch",
    "transformers": "transformers",
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
OPTIONAL = ("wandb", "lmms_eval", "flash_attn", "optuna", "ray")


def versions() -> dict[str, str]:
    """Versions of Saccade, Python and everything needed."""
    own = {"saccade": __version__, "python": platform.python_version()}
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


def optional_parts() -> dict[str, str]:
    """Version of every optional part, or how to install it."""
    return {name: _part(name) for name in OPTIONAL}


def _part(name: str) -> str:
    if find_spec(name) is not None:
        return _version(name) or "present"
    extra = _extra(name)
    return f"not installed (pip install {_quoted(extra) if extra else _normal(name)})"


def _quoted(extra: str) -> str:
    return f"'saccade[{extra}]'"


def _extra(name: str) -> str | None:
    """The extra of Saccade that brings a distribution, if one does."""
    try:
        lines = requires("saccade") or []
    except PackageNotFoundError:  # a checkout that is not installed
        return None
    for line in lines:
        found = re.match(r"([\w.-]+).*;.*extra\s*==\s*['\"]([\w.-]+)['\"]", line)
        if found and _normal(found[1]) == _normal(name) and found[2] != "dev":
            return found[2]
    return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
