"""What controls the cases of a study: what they say themselves, or presets by model and task."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.preset_controller import build
from saccade.controller.preset_names import Found, find_preset
from saccade.studies.config.study import Case, StudyConfig


def controller_of(
    case: Case,
    config: StudyConfig | None = None,
    task: str | None = None,
    *,
    tokens: bool = False,
) -> Controller | None:
    """Build what controls a case; None for the bare model.

    Attention is measured only where the policy reads it, so that fixed schedules pay nothing,
    unless the case asks for all of it.

    Parameters
    ----------
    case : Case
    config : StudyConfig, optional
        Of one model; a case with a preset needs it, and the task.
    task : str, optional
    tokens : bool
        As in `Controller`.

    Raises
    ------
    StudyError
        For unknown names and options, listing the known; for a preset that is not there or cannot
        be used.
    """
    try:
        if case.preset is not None:
            if config is None or task is None:
                raise StudyError("its preset depends on the study's model and task; give both")
            found = preset_of(case, config, task)
            return build(Controller, found.preset, found.folder, probe=case.probe, tokens=tokens)
        if case.policy is None:
            if case.pruner is not None:
                raise StudyError(f"the pruner {case.pruner} has no policy that would ask it")
            return None
        how: dict[str, Any] = {"probe": case.probe, "positions": case.positions, "tokens": tokens}
        return Controller(case.policy, case.pruner, **how)
    except (SaccadeError, OSError, TypeError, ValueError) as error:
        where = f"case {case.name!r}" + (f" on task {task!r}" if case.preset and task else "")
        raise StudyError(f"{where}: {error}") from error


def preset_of(case: Case, config: StudyConfig, task: str) -> Found:
    """The preset of a case for the study's one model and a task: a file beside the study, or
    whatever else names one.

    Raises
    ------
    PresetError
        If there is none, or it cannot be used.
    """
    assert case.preset is not None
    name = case.preset.replace("{model}", config.model).replace("{task}", task)
    beside = None if config.folder is None else Path(config.folder) / name
    return find_preset(beside if beside is not None and beside.exists() else name)


def each_controller(config: StudyConfig) -> Iterator[tuple[Case, Controller | None]]:
    """All that control a study of one model, with their cases; errors as `controller_of`."""
    for case in config.cases:
        if case.preset is None:
            yield case, controller_of(case)
        else:
            for task in config.tasks:
                yield case, controller_of(case, config, task)
