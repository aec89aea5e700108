"""From a preset to a controller: nothing of it is run, and nothing outside its folder is read."""

import ast
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from saccade.controller.errors import PresetError
from saccade.controller.preset import Preset
from saccade.controller.preset_files import LARGEST_LEARNED, inside, read_bounded

if TYPE_CHECKING:
    from saccade.controller.controller import Controller

C = TypeVar("C", bound="Controller")
NOTHING = "none"
"""The policy of a preset that promises nothing could be changed: the bare model."""


def build(kind: "type[C]", preset: object, folder: Path | None = None, **options: Any) -> "C":
    """The controller of a preset, or of what names one, with other options of its class.

    Raises
    ------
    PresetError
        As `find_preset`; if its learned model is missing, another than the preset's, or outside of
        its folder; if the controller cannot be made of it.
    TypeError
        If this neither is a preset nor names one.
    """
    from saccade.controller.preset_names import Found, find_preset
    from saccade.controller.promise import Promise

    if not isinstance(preset, str | Path | Preset):
        raise TypeError(f"{preset!r} is no preset: give a name, a path, a hub id or a Preset")
    found = Found(preset, folder) if isinstance(preset, Preset) else find_preset(preset)
    own = found.preset
    text = policy_text(own, found.folder, found.root)
    try:
        made = kind(text, own.pruner, positions=own.positions, **options)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise PresetError(f"the preset {own.name!r} makes no controller: {error}") from error
    made.promise = Promise(own)
    return made


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
        As `build`.
    """
    if preset.abstained:
        return NOTHING
    if preset.learned is None:
        return preset.policy
    return _with_file(preset.policy, preset.learned.file, learned_file(preset, folder, root))


def learned_file(preset: Preset, folder: Path | None, root: Path | None = None) -> Path:
    """The learned model of a preset, its hash checked; errors as `build`."""
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
