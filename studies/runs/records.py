"""What a run has measured, on disk: appended unit by unit, nothing lost or doubled by a kill."""

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, TypeAdapter

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.files import lock_folder
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.recipe_files import check_recipe, read_recipe, write_recipe

RECORDS, RECIPE = "records.jsonl", "recipe.json"


@dataclass(frozen=True, slots=True)
class Record:
    """How one case did on one sample.

    Attributes
    ----------
    case, task : str
    sample, unit : int
        Index of the sample, and number of its unit within the task.
    position : int
        Whether the case ran first (0), second, ... in the unit.
    answer, expected : str
    score, exact, rows, symbols : float
        See `saccade.studies.tasks.Score`.
    seconds : float
        Wall time of ``generate`` on the unit, divided by its samples.
    prepare_seconds : float
        The same for preparing the unit's inputs: once for all cases.
    forwards : int
        Denoising forwards.
    response : int
        Response tokens.
    macs, macs_paper : int
        Of all forwards, exact and by the paper's formula.
    prepare_macs : int
        Of the vision tower and the projector.
    n_visual : int
        Visual tokens before any reduction.
    visual_tokens : int
        Visual tokens that the answer could attend to, summed over layers and steps.
    visual_tokens_ratio : float
        The same relative to all of them in every layer and step.
    keep : list of float
        Share of the visual tokens that reached the last layer, per step.
    visual_runs : list of (int, list of int)
        Visual tokens of every layer, per run of equal steps: how many steps, tokens per layer.
    seed : int
        Of its sample; 0 in records from before there were several.
    refreshes : list of int
        Steps in which the prompt was computed; the first alone in records from before they were
        kept.
    attention : list of (list, list)
        Per step, attention mass of the masked rows on visual and on response tokens of every layer;
        empty unless the case asks for it.
    confidences : list of float or None
        Mean confidence of the masked positions per step, then too.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    case: str
    task: str
    sample: int
    unit: int
    position: int
    answer: str
    expected: str
    score: float
    exact: float
    rows: float
    symbols: float
    seconds: float
    prepare_seconds: float
    forwards: int
    response: int
    macs: int
    macs_paper: int
    prepare_macs: int
    n_visual: int
    visual_tokens: int
    visual_tokens_ratio: float
    keep: list[float]
    visual_runs: list[tuple[int, list[int]]]
    seed: int = 0
    refreshes: list[int] = field(default_factory=lambda: [0])
    attention: list[tuple[list[float | None], list[float | None]]] = field(default_factory=list)
    confidences: list[float | None] = field(default_factory=list)

    def line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False).encode() + b"\n"


_RECORD = TypeAdapter(Record)
"""Reads a record, types and all."""


def complete_records(data: bytes, config: StudyConfig) -> tuple[list[Record], int]:
    """Records of the complete units in a records file, and the length of these from its start.

    A last line that was cut off, and a last unit of which only a part was written, are left out.

    Raises
    ------
    StudyError
        If anything but the end is damaged: that was no interruption.
    """
    units = {(unit.task, unit.number): unit for unit in plan_units(config)}
    cases = [case.name for case in config.cases]
    records: list[Record] = []
    pending: list[Record] = []
    position = end = 0
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        position += len(line) + 1
        try:
            pending.append(_RECORD.validate_json(line))
            full = _is_full(pending, units, cases)
        except ValueError as error:
            if position == len(data):
                break
            reason = str(error).splitlines()[0]  # pydantic's go on for a screen
            raise StudyError(f"line {number} of {RECORDS} is damaged: {reason}") from error
        if full:
            units.pop((pending[0].task, pending[0].unit))
            records, pending, end = records + pending, [], position
    return records, end


def _is_full(
    pending: Sequence[Record], units: dict[tuple[str, int], Unit], cases: Sequence[str]
) -> bool:
    """Whether the pending records are a whole unit; `ValueError` if they can never become one."""
    first, last = pending[0], pending[-1]
    unit = units.get((first.task, first.unit))
    if unit is None:
        raise ValueError(f"unit {first.unit} of task {first.task!r} is foreign or was there before")
    wanted = {(case, sample) for case in cases for sample in unit.samples}
    found = {(record.case, record.sample) for record in pending}
    one_unit = (last.task, last.unit) == (first.task, first.unit)
    if not one_unit or len(found) < len(pending) or not found <= wanted:
        raise ValueError(f"case {last.case!r}, sample {last.sample} does not belong there")
    return found == wanted


def read_run(folder: str | Path) -> tuple[Recipe, StudyConfig, list[Record]]:
    """The recipe of a run, its configuration, and the records of its complete units.

    Raises
    ------
    StudyError
        If the folder holds no run, or a damaged one.
    """
    folder = Path(folder)
    recipe = read_recipe(folder / RECIPE)
    if recipe is None:
        raise StudyError(f"no run in {folder}: it has no {RECIPE}; give the --out of a study")
    try:
        config = StudyConfig.model_validate(recipe["config"])
        data = (folder / RECORDS).read_bytes()
        return recipe, config, complete_records(data, config)[0]
    except (OSError, KeyError, ValueError, StudyError) as error:
        raise StudyError(f"the run in {folder} cannot be read: {error}") from error


class RecordStore:
    """The folder of one run, opened for writing by one process at a time.

    Opening it makes it fit to go on: what an interruption left unfinished is cut off.

    Parameters
    ----------
    folder : Path
        Made if there is none.
    recipe : Recipe
        Of the run that wants to write; a folder with another one is refused.
    config : StudyConfig

    Attributes
    ----------
    records : list of Record
        Those of the complete units.
    done : set of (str, int)
        Task and number of the complete units.

    Raises
    ------
    StudyError
        If the folder is used by another process, belongs to another recipe, cannot be written or is
        damaged.
    """

    def __init__(self, folder: str | Path, recipe: Recipe, config: StudyConfig) -> None:
        self.folder = Path(folder)
        self.path = self.folder / RECORDS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise StudyError(f"{self.folder} cannot be written: {reason(error)}") from error
        try:
            lock_folder(self._file, self.folder)
            self.records, self._end = self._open(recipe, config)
        except BaseException:
            self.close()
            raise
        self.done = {(record.task, record.unit) for record in self.records}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, unit: Unit, records: Sequence[Record]) -> None:
        """Keep the records of a complete unit, all or none.

        Raises
        ------
        StudyError
            If they cannot be written, for example because the disk is full; the units before are
            kept.
        """
        data = b"".join(record.line() for record in records)
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):  # else it is cut off when the folder is opened again
                os.ftruncate(self._file, self._end)
            raise StudyError(
                f"{self.path} cannot be written: {reason(error)}. {len(self.done)} units are "
                "kept; make room and run again with the same --out to go on"
            ) from error
        self._end += len(data)
        self.records.extend(records)
        self.done.add((unit.task, unit.number))

    def _open(self, recipe: Recipe, config: StudyConfig) -> tuple[list[Record], int]:
        data = self.path.read_bytes()
        # A run that failed before its first record binds nobody.
        before = read_recipe(self.folder / RECIPE) if data else None
        if before is None and data:
            raise StudyError(f"{self.folder} holds records but no {RECIPE}; give another --out")
        if before is not None:
            check_recipe(self.folder, before, recipe)
        try:
            records, end = complete_records(data, config)
            os.ftruncate(self._file, end)
            if before is None:
                write_recipe(self.folder / RECIPE, recipe)
        except OSError as error:
            raise StudyError(f"{self.folder} cannot be written: {reason(error)}") from error
        except StudyError as error:
            raise StudyError(f"{self.folder}: {error}; mend it, or give another --out") from error
        return records, end


def reason(error: OSError) -> str:
    """What went wrong, without the path."""
    return error.strerror or str(error)
