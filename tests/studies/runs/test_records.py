"""The store of records: nothing lost, nothing doubled, one writer, one recipe."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saccade.controller import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.records import Record, RecordStore, read_run

MakeRecipe = Callable[[StudyConfig], dict[str, Any]]
Blank = Callable[..., Record]


def unit_records(config: StudyConfig, unit: Unit, blank: Blank) -> list[Record]:
    return [
        blank(case.name, unit.task, sample, unit.number)
        for case in config.cases
        for sample in unit.samples
    ]


@pytest.fixture
def fill(config: StudyConfig, recipe_of: MakeRecipe, blank: Blank, tmp_path: Path) -> Any:
    """``fill(n)`` writes the first `n` units that are missing and returns the folder."""

    def go_on(n: int) -> Path:
        with RecordStore(tmp_path / "run", recipe_of(config), config) as store:
            missing = [u for u in plan_units(config) if (u.task, u.number) not in store.done]
            for unit in missing[:n]:
                store.append(unit, unit_records(config, unit, blank))
        return tmp_path / "run"

    return go_on


def keys(folder: Path) -> list[tuple[str, str, int]]:
    return [(r.case, r.task, r.sample) for r in read_run(folder)[2]]


def test_records_come_back_as_they_were(fill: Any, config: StudyConfig, blank: Blank) -> None:
    records = read_run(fill(2))[2]
    units = plan_units(config)[:2]
    expected = [r for unit in units for r in unit_records(config, unit, blank)]
    assert [record.line() for record in records] == [record.line() for record in expected]


@pytest.mark.parametrize("lost", [1, 2, 100, 1200, 1700])
def test_a_cut_tail_is_trimmed_and_written_again(fill: Any, config: StudyConfig, lost: int) -> None:
    folder = fill(2)
    path = folder / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    assert len(keys(folder)) == 4, "the reader leaves out what is not complete"
    assert fill(0) == folder
    assert whole.startswith(path.read_bytes())
    assert path.read_bytes().endswith(b"\n")
    fill(1)
    assert path.read_bytes() == whole
    fill(100)
    found = keys(folder)
    assert len(found) == len(set(found)) == 2 * 2 * 5


@pytest.mark.parametrize("tail", [b"\0" * 40, b'{"case": "no', b'{"case": "none"}\n', b"5\n"])
def test_any_damaged_end_is_trimmed(fill: Any, tail: bytes) -> None:
    path = fill(1) / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    fill(0)
    assert path.read_bytes() == whole


def test_damage_before_the_end_is_refused(fill: Any) -> None:
    folder = fill(2)
    path = folder / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in ([*lines[:2], b"{}\n", *lines[2:]], lines[1:], [*lines, *lines]):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(
            StudyError, match=r"line \d+ of records.jsonl is damaged.*another --out"
        ):
            fill(1)
        with pytest.raises(StudyError, match="cannot be read: line"):
            read_run(folder)


def test_another_recipe_is_refused(fill: Any, config: StudyConfig, recipe_of: MakeRecipe) -> None:
    folder = fill(1)
    before = (folder / "records.jsonl").read_bytes()
    other = config.model_copy(update={"batch": 1, "seed": 7})
    with pytest.raises(StudyError) as caught:
        RecordStore(folder, recipe_of(other), other)
    message = str(caught.value)
    assert "config.batch (2 there, 1 now)" in message
    assert "config.seed (0 there, 7 now)" in message
    assert "config.samples" not in message
    assert "another --out" in message
    assert (folder / "records.jsonl").read_bytes() == before
    fill(1)


def test_records_without_a_recipe_are_refused(fill: Any) -> None:
    folder = fill(1)
    (folder / "recipe.json").unlink()
    with pytest.raises(StudyError, match=r"records but no recipe.json"):
        fill(1)
    with pytest.raises(StudyError, match="no run in"):
        read_run(folder)


def test_two_writers_are_refused(
    config: StudyConfig, recipe_of: MakeRecipe, tmp_path: Path
) -> None:
    with RecordStore(tmp_path, recipe_of(config), config):
        with pytest.raises(StudyError, match="another process is writing to"):
            RecordStore(tmp_path, recipe_of(config), config)
    RecordStore(tmp_path, recipe_of(config), config).close()


def test_the_lock_ends_with_a_killed_process(
    config: StudyConfig, recipe_of: MakeRecipe, tmp_path: Path
) -> None:
    RecordStore(tmp_path, recipe_of(config), config).close()
    code = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "records.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(StudyError, match="another process"):
            RecordStore(tmp_path, recipe_of(config), config)
        other.kill()
    RecordStore(tmp_path, recipe_of(config), config).close()


def test_a_full_disk_keeps_the_units_before(fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(1)
    whole = (folder / "records.jsonl").read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:50]))
    with pytest.raises(StudyError, match="No space left on device.*1 units are kept; make room"):
        fill(1)
    assert (folder / "records.jsonl").read_bytes() == whole
    monkeypatch.undo()
    fill(1)
    assert len(keys(folder)) == 8


def test_a_folder_that_cannot_be_written_is_refused(
    config: StudyConfig, recipe_of: MakeRecipe, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "records.jsonl").mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "taken"):
        with pytest.raises(StudyError, match="cannot be written"):
            RecordStore(folder, recipe_of(config), config)
