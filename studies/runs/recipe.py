"""The recipe of a run: everything that its numbers depend on."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from saccade import __version__
from saccade.backbones.checkpoints.checkpoint import CONFIG, TOWER_CONFIG, shard_files
from saccade.backbones.checkpoints.tokenizer import ADDED, MERGES, SPECIALS, TOKENIZER, VOCABULARY
from saccade.backbones.loading import resolve
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.preset import Preset
from saccade.controller.text_form import written
from saccade.studies.config.case_controllers import controller_of, preset_of
from saccade.studies.config.cases import settings_class, settings_of
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.runs.attention_kernel import attention_of

PACKAGES = ("torch", "tokenizers", "numpy", "pillow", "scikit-learn")
SOURCES = ("saccade", "controller", "pruners", "backbones", "tuning", "studies")
ROOT = Path(__file__).parents[2]

Recipe = dict[str, Any]


def make_recipe(
    config: StudyConfig,
    model: Model,
    git: Mapping[str, str | None] | None = None,
    command: str | None = None,
) -> Recipe:
    """Describe a run that is about to start, in plain values that survive JSON unchanged.

    Parameters
    ----------
    config : StudyConfig
    model : Model
        Loaded from ``config.model``; torch's number of threads is already set.
    git : mapping, optional
        The `git_state` of the code that runs, if it is older than this call; the present one.
    command : str, optional
        What was typed to start it, without passwords.
    """
    recipe = {
        "config": config.plain(),
        "cases": {case.name: _controlled(config, case) for case in config.cases},
        "settings": _settings(config),
        "backbone": _backbone(model),
        "model_files": file_hashes(resolve(config.model)),
        "versions": versions(),
        "hardware": hardware(),
        "git": git_state(ROOT) if git is None else dict(git),
        "seed": config.seed,
    }
    if config.benchmarks:
        recipe["benchmarks"] = {
            own.name: {"sha256": _sha256(own.file), "n": len(own.items())}
            for own in config.benchmarks
        }
    if command is not None:
        recipe["command"] = command
    plain: Recipe = json.loads(json.dumps(recipe))
    return plain


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _controlled(config: StudyConfig, case: Case) -> dict[str, Any]:
    """Policy and pruner of a case; of one with presets, what they say for each task."""
    if case.preset is None:
        return _written(controller_of(case))
    return {task: _said(preset_of(case, config, task).preset) for task in config.tasks}


def _said(preset: Preset) -> dict[str, Any]:
    """What a preset does: not what else its file says about it."""
    return {
        "policy": None if preset.abstained else preset.policy,
        "pruner": preset.pruner,
        "positions": preset.positions,
        "learned": None if preset.learned is None else preset.learned.hash,
    }


def _written(controller: Controller | None) -> dict[str, str]:
    policy, pruner = (None, None) if controller is None else (controller.policy, controller.pruner)
    return {"policy": written(policy), "pruner": written(pruner)}


def _settings(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Settings of every task after defaults; what a case changes in them is in the config."""
    plain, seed = Case(name="plain"), {"seed": "seed + first sample of the batch"}
    kind = settings_class(config)
    out: dict[str, dict[str, Any]] = {}
    for task in config.tasks:
        settings: Any = kind.from_options(settings_of(plain, config.task_of(task), kind))
        out[task] = asdict(settings) | seed
    return out


def _backbone(model: Model) -> dict[str, Any]:
    spec, dtype = model.spec, model.network.model.image_newline.dtype
    return {
        "name": spec.name,
        "origin": spec.origin,
        "geometry": asdict(spec.geometry),
        "dtype": str(dtype).removeprefix("torch."),
        "device": model.device.type,
        "attention": attention_of(model),
    }


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of a checkpoint's weights, and of the JSON files read with them."""
    words = (TOKENIZER, VOCABULARY, MERGES, SPECIALS, ADDED)
    others = [folder / name for name in (CONFIG, TOWER_CONFIG, *words)]
    hashes = {}
    for path in [*shard_files(folder), *(path for path in others if path.exists())]:
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def versions() -> dict[str, str]:
    """Versions of Saccade, Python and the packages that numbers depend on."""
    own = {"saccade": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in PACKAGES}


def hardware() -> dict[str, Any]:
    """System, processor, cores, the threads torch uses, and the GPU's name or None."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def cpu_name() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_state(root: Path) -> dict[str, str | None]:
    """Commit of the checkout, and a hash of what its sources add to that; None outside of one.

    Only Python sources count: weights have hashes of their own, and the configuration is recorded.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():  # in another project
        return {"commit": None, "dirty": None}
    sources = [f"{folder}/*.py" for folder in SOURCES]
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    changed = _git(root, "status", *options, "--", *sources)
    return {"commit": _git(root, "rev-parse", "--verify", "HEAD"), "dirty": _dirty(root, changed)}


def _dirty(root: Path, changed: str | None) -> str | None:
    if not changed:
        return None
    digest = hashlib.sha256()
    for entry in filter(None, changed.split("\0")):
        path = root / entry[3:]
        digest.update(entry.encode(errors="surrogateescape"))
        digest.update(path.read_bytes() if path.is_file() else b"deleted")
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, without its last newline; None where there is no git or it refuses."""
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n")
