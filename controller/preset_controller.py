"""From a preset to a controller: nothing of it is run, and nothing outside its folder is read."""

import ast
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.controller.errors import PresetError
from saccade.controller.preset import Preset
from saccade.controller.preset_files import LARGEST_LEARNED, inside, read_bounded

if TYPE_CHECKING:
    from saccade.controller.controller import Controller

NOTHING = "none"
"""The policy of a preset that promises nothing could be changed: the bare model."""


def make_controller(
    preset: Preset, folder: Path | None = None, root: Path | None = None
) -> "Controller":
    """The controller of a preset.

    Parameters
    ----------
    preset : Preset
    folder : Path, optional
        Where its learned model lies.
    root : Path, optional
        What links of a cache may lead to, instead of `folder` alone.

    Raises
    ------
    PresetError
        If the learned model is missing, another than the preset's, or outside the folder.
    """
    from saccade.controller.controller import Controller

    policy = preset.policy
    if preset.certificate is not None and preset.certificate.outcome == "abstained":
        policy = NOTHING
    elif preset.learned is not None:
        policy = _with_file(policy, preset.learned.file, learned_file(preset, folder, root))
    return Controller(policy, preset.pruner, positions=preset.positions)


def learned_file(preset: Preset, folder: Path | None, root: Path | None = None) -> Path:
    """The learned model of a preset, its hash checked; errors as `make_controller`."""
    learned = preset.learned
    if learned is None:
        raise PresetError(f"the preset {preset.name!r} has no learned model")
    if folder is None:
        raise PresetError(
            f"the preset {preset.name!r} has a learned model, {learned.file}; give the folder that "
            "it lies in, or read the preset by its path: Controller.from_preset(PATH)"
        )
    file = inside(folder, learned.file, root)
    found = hashlib.sha256(read_bounded(file, LARGEST_LEARNED)).hexdigest()
    if found != learned.hash:
        raise PresetError(
            f"{file} is not the learned model of the preset {preset.name!r}: its hash is "
            f"{found[:12]}..., that of the preset's {learned.hash[:12]}...; fetch both again, or "
            "make the preset anew"
        )
    return file


def _with_file(policy: str, name: str, file: Path) -> str:
    """A policy's text in which the name of the learned model is the path of its file."""
    tree = ast.parse(policy.strip(), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == name:
            node.value = str(file)
    return ast.unparse(tree)
