"""What commands about presets read: a preset or its front, its task, and where to write."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.studies.cli.inputs import check_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saccade.controller.preset import Preset
    from saccade.controller.preset_names import Found
    from saccade.studies.tasks import Task

RESULT, LARGEST_RESULT = "result.json", 4 * 2**20
"""What a search has found, beside ``preset.json``; most bytes of it."""
FIGURES = {
    "score": "test_score",
    "score_relative": "test_relative",
    "ideal": "test_ideal",
    "measured": "measured",
    "measured_low": "measured_low",
    "measured_high": "measured_high",
}
"""Names of the figures of a front, in a preset and in a search's result."""
LENGTHS = {"gen_length": 64, "block_length": None, "steps": 32}


def front_of(name: str) -> "list[Found]":
    """A preset, and the other members of its front where it is a folder that has them: those that
    a search wrote down as its result, and presets in a folder of their own.

    Raises
    ------
    PresetError
        If there is none, or a member cannot be used.
    """
    from saccade.controller.preset_names import Found, find_preset

    first = find_preset(name)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return [first]
    found, seen = [first], {_setting(first.preset)}
    for member in (*_searched(first.preset, folder), *_beside(folder)):
        if _setting(member.preset) not in seen:
            seen.add(_setting(member.preset))
            found.append(Found(*member))
    return found


def _beside(folder: Path) -> "Iterator[Found]":
    from saccade.controller.preset import Preset
    from saccade.controller.preset_files import FRONT, inside
    from saccade.controller.preset_names import Found

    inner = inside(folder, FRONT)
    for file in sorted(inner.glob("*.json")) if inner.is_dir() else ():
        yield Found(Preset.read(inside(inner, file.name)), inner)


def _searched(preset: "Preset", folder: Path) -> "Iterator[Found]":
    """Of the result of ``saccade tune run``: each row of its front is the preset otherwise set."""
    from saccade.controller.errors import PresetError
    from saccade.controller.preset import Preset
    from saccade.controller.preset_files import inside, read_object
    from saccade.controller.preset_names import Found

    file = inside(folder, RESULT)
    if not file.exists():
        return
    rows = read_object(file, LARGEST_RESULT)[0].get("front", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PresetError(f"{file} has no front that is a list of settings; tune again")
    plain = preset.model_dump(mode="json", by_alias=True) | {"certificate": None}
    for row in rows:
        figures = {own: row.get(theirs) for own, theirs in FIGURES.items()}
        content = {name: row.get(name) for name in ("policy", "pruner", "learned")}
        content |= {"front": figures}
        yield Found(Preset.load_text(plain | content, str(file)), folder)


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


def preset_task(
    preset: "Preset", name: str | None, benchmark: Path | None, labels: bool = True
) -> "Task":
    """The task of a preset, another that is named, or a file of questions, whose right answers are
    not looked at without `labels`.

    Raises
    ------
    ValueError
        If there is none by that name, or both are given.
    """
    from saccade.controller.names import unknown_name
    from saccade.studies.tasks import tasks
    from saccade.studies.tasks.question_files import QuestionFile
    from saccade.studies.tasks.unlabelled import UnlabelledFile

    if benchmark is not None:
        if name is not None:
            raise ValueError("give --task or --benchmark, not both")
        lengths = {key: preset.generation.get(key, value) for key, value in LENGTHS.items()}
        kind = QuestionFile if labels else UnlabelledFile
        made = kind.model_validate({"name": benchmark.stem, "file": benchmark, **lengths})
        made.items()
        return made
    wanted = preset.task.name if name is None else name
    if wanted not in tasks:
        hint = "; give its questions as --benchmark FILE" if name is None else ""
        raise ValueError(unknown_name("task", wanted, tasks) + hint)
    return tasks.make(wanted)
