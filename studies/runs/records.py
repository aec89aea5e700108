"""What a run has measured, on disk: one file a unit, which is there as a whole or not at all."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from saccade.controller.errors import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.files import PARTIAL, lock_folder, replacing
from saccade.studies.runs.identity import give_identity
from saccade.studies.runs.recipe import Recipe
from saccade.studies.runs.recipe_files import check_recipe, extends, read_recipe, write_recipe
from saccade.studies.runs.record import RECORD, Record
from saccade.studies.runs.single_file import read_single_file, single_file
from saccade.studies.tasks.json_lines import numbered_lines

UNITS, RECIPE, LOCK = "units", "recipe.json", ".lock"


def unit_file(folder: Path, config: StudyConfig, unit: Unit) -> Path:
    """Where the records of a unit lie: numbered by task, as names of tasks may hold anything."""
    name = re.sub(r"[^\w.-]+", "-", unit.task)
    return folder / UNITS / f"{config.tasks.index(unit.task):02}-{name}-{unit.number:04}.jsonl"


def read_unit(path: Path, config: StudyConfig, unit: Unit) -> list[Record]:
    """The records of a unit.

    Raises
    ------
    StudyError
        If the file is damaged or does not hold just this unit, naming the file (and the line).
    """
    records = []
    for number, line in numbered_lines(path.read_bytes(), path.name):
        try:
            records.append(RECORD.validate_json(line))
        except ValueError as error:
            reason = str(error).splitlines()[0]  # pydantic's go on for a screen
            raise StudyError(f"line {number} of {path.name} is damaged: {reason}") from error
    found = [(r.task, r.unit, r.case, r.sample) for r in records]
    wanted = {(unit.task, unit.number, c.name, s) for c in config.cases for s in unit.samples}
    if len(found) != len(wanted) or set(found) != wanted:
        raise StudyError(
            f"{path.name} does not hold unit {unit.number} of task {unit.task!r} with all cases"
        )
    return records


def read_units(folder: Path, config: StudyConfig) -> list[Record]:
    """Records of all units that a folder has, in the order of the study.

    Raises
    ------
    StudyError
        If a file is damaged.
    """
    single = single_file(folder)
    older = [] if single is None else read_single_file(single, config)
    known: dict[tuple[str, int], list[Record]] = {}
    for record in older:
        known.setdefault((record.task, record.unit), []).append(record)
    records: list[Record] = []
    for unit in plan_units(config):
        path = unit_file(folder, config, unit)
        records += known.get((unit.task, unit.number), [])
        if (unit.task, unit.number) not in known and path.exists():
            records += read_unit(path, config, unit)
    return records


def read_run(folder: str | Path) -> tuple[Recipe, StudyConfig, list[Record]]:
    """The recipe of a run, its configuration, and the records of its complete units.

    Runs with all records in one file, compressed or not, are read, too.

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
        return recipe, config, read_units(folder, config)
    except (OSError, EOFError, KeyError, ValueError, StudyError) as error:
        raise StudyError(f"the run in {folder} cannot be read: {error}") from error


def has_records(folder: Path) -> bool:
    """Whether a folder has records of a unit."""
    return any((folder / UNITS).glob("*.jsonl")) or single_file(folder) is not None


def begun_recipe(folder: Path) -> Recipe | None:
    """The recipe that a folder's records have; a run that failed before its first record binds
    nobody."""
    return read_recipe(folder / RECIPE) if has_records(folder) else None


class RecordStore:
    """The folder of one run, opened for writing by one process at a time.

    Parameters
    ----------
    folder : Path
        Made if there is none.
    recipe : Recipe
        Of the run that wants to write; a folder with another one is refused, but one with fewer
        samples is extended.
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
        self.folder, self.config = Path(folder), config
        try:
            (self.folder / UNITS).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StudyError(f"{self.folder} cannot be written: {reason(error)}") from error
        try:
            lock_folder(self._lock, self.folder)
            self.records = self._open(recipe)
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
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def append(self, unit: Unit, records: Sequence[Record]) -> None:
        """Keep the records of a complete unit, all or none.

        Raises
        ------
        StudyError
            If they cannot be written, for example because the disk is full; the units before are
            kept.
        """
        path = unit_file(self.folder, self.config, unit)
        try:
            with replacing(path) as partial:
                partial.write_bytes(b"".join(record.line() for record in records))
        except OSError as error:
            raise StudyError(
                f"{path} cannot be written: {reason(error)}. {len(self.done)} units are "
                "kept; make room and run again with the same --out to go on"
            ) from error
        self.records.extend(records)
        self.done.add((unit.task, unit.number))

    def _open(self, recipe: Recipe) -> list[Record]:
        for partial in (self.folder / UNITS).glob(f"*{PARTIAL}"):  # of a run that was killed
            with suppress(OSError):
                partial.unlink()
        before = begun_recipe(self.folder)
        if before is None and has_records(self.folder):
            raise StudyError(f"{self.folder} holds records but no {RECIPE}; give another --out")
        longer = before is not None and extends(before, recipe)
        if before is not None and not longer:
            check_recipe(self.folder, before, recipe)
        try:
            if before is None or longer:
                write_recipe(self.folder / RECIPE, recipe)
            give_identity(self.folder, new=before is None)
            return read_units(self.folder, self.config)
        except OSError as error:
            raise StudyError(f"{self.folder} cannot be written: {reason(error)}") from error
        except StudyError as error:
            raise StudyError(f"{self.folder}: {error}; mend it, or give another --out") from error


def reason(error: OSError) -> str:
    """What went wrong, without the path."""
    return error.strerror or str(error)
