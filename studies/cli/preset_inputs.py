"""What commands about presets read: a preset or its front, its task, and where to write."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.studies.cli.inputs import check_output

if TYPE_CHECKING:
    from saccade.controller.preset import Preset
    from saccade.controller.preset_names import Found
    from saccade.studies.tasks import Task

FRONT = "front"
"""Folder beside ``preset.json`` with the other settings of its front, each a preset."""
LENGTHS = {"gen_length": 64, "block_length": None, "steps": 32}


def front_of(name: str) -> "list[Found]":
    """A preset, and the other members of its front where it is a folder that has them.

    Raises
    ------
    PresetError
        If there is none, or a member cannot be used.
    """
    from saccade.controller.preset import Preset
    from saccade.controller.preset_files import inside
    from saccade.controller.preset_names import Found, find_preset

    first = find_preset(name)
    folder = Path(name).expanduser()
    if not (folder.is_dir() and (folder / FRONT).is_dir()):
        return [first]
    inside(folder, FRONT)
    found = [first]
    for file in sorted((folder / FRONT).glob("*.json")):
        member = Preset.read(inside(folder / FRONT, file.name))
        if all(_setting(member) != _setting(one.preset) for one in found):
            found.append(Found(member, folder / FRONT))
    return found


def _setting(preset: "Preset") -> tuple[Any, ...]:
    return preset.policy, preset.pruner, preset.positions, preset.learned


def check_target(name: str, write_to: Path | None) -> Path:
    """Where a preset is written: its own file, unless it is shipped or on the hub.

    Raises
    ------
    ValueError
        If it has no file of the user's, and none is given.
    """
    from saccade.controller.preset_files import FILE

    own = Path(name).expanduser()
    if write_to is None and not own.exists():
        raise ValueError(f"{name} has no file here to write into: give --out FILE")
    path = own if write_to is None else write_to
    file = path / FILE if path.is_dir() else path
    check_output(file)
    return file


def preset_task(preset: "Preset", name: str | None, benchmark: Path | None) -> "Task":
    """The task of a preset, another that is named, or a file of questions.

    Raises
    ------
    ValueError
        If there is none by that name, or both are given.
    """
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks import tasks
    from saccade.studies.tasks.question_files import QuestionFile

    if benchmark is not None:
        if name is not None:
            raise ValueError("give --task or --benchmark, not both")
        lengths = {key: preset.generation.get(key, value) for key, value in LENGTHS.items()}
        made = QuestionFile.model_validate({"name": benchmark.stem, "file": benchmark, **lengths})
        made.items()
        return made
    wanted = preset.task.name if name is None else name
    if wanted not in tasks:
        hint = "; give its questions as --benchmark FILE" if name is None else ""
        raise ValueError(unknown_name("task", wanted, tasks) + hint)
    return tasks.make(wanted)
