"""From a preset to a controller: nothing of it is run, and nothing outside its folder is read."""

import ast
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.controller.errors import PresetError
from saccade.controller.preset import Preset
from saccade.controller.preset_files import LARGEST_LEARNED, inside, read_bounded

if TYPE_CHECKING:
    from saccade.controller.promise import Promise
    from saccade.controller.session import Positions

NOTHING = "none"
"""The policy of a preset that promises nothing could be changed: the bare model."""


def described(preset: object) -> "tuple[str, str | None, Positions, Promise]":
    """Policy, pruner and positions of a preset or of what names one, and what it promises.

    Raises
    ------
    PresetError
        As `find_preset`; if its learned model is missing, another than the preset's, or outside of
        its folder; if a text that is read with it is wrong.
    TypeError
        If this neither is a preset nor names one.
    """
    from saccade.controller.preset_names import Found, find_preset
    from saccade.controller.promise import Promise

    if not isinstance(preset, str | Path | Preset):
        raise TypeError(f"{preset!r} is no preset: give a name, a path, a hub id or a Preset")
    found = Found(preset, None) if isinstance(preset, Preset) else find_preset(preset)
    own = found.preset
    return policy_text(own, found.folder, found.root), own.pruner, own.positions, Promise(own)


def policy_text(preset: Preset, folder: Path | None, root: Path | None = None) -> str:
    """What `parse_policy` reads: nothing after an abstention, else with its learned model's path.

    Parameters
    ----------
    preset : Preset
    folder : Path or None
        Where its learned model lies.
    root : Path, optional
        What links of a cache may lead to, instead of `folder` alone.

    Raises
    ------
    PresetError
        As `described`.
    """
    if preset.certificate is not None and preset.certificate.outcome == "abstained":
        return NOTHING
    if preset.learned is None:
        return preset.policy
    return _with_file(preset.policy, preset.learned.file, learned_file(preset, folder, root))


def learned_file(preset: Preset, folder: Path | None, root: Path | None = None) -> Path:
    """The learned model of a preset, its hash checked; errors as `described`."""
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
