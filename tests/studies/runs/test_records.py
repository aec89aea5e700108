"""The store of records: nothing lost, nothing doubled, one writer, one recipe."""

import errno
import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saccade.controller import StudyError
from saccade.studies.config.study import StudyConfig, Unit, plan_units
from saccade.studies.runs.record import Record
from saccade.studies.runs.records import RecordStore, read_run, unit_file
from tests.studies.unit_files import contents, unit_files

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


def test_a_unit_is_there_as_a_whole_or_not_at_all(fill: Any) -> None:
    folder = fill(2)
    whole = contents(folder)
    assert len(whole) == 2
    (folder / "units" / "00-yesno-0002.jsonl.partial").write_bytes(b'{"case": "no')
    assert len(keys(folder)) == 8, "the reader passes over what is being written"
    fill(0)
    assert contents(folder) == whole
    assert not list((folder / "units").glob("*.partial")), "what a kill left is swept away"
    fill(100)
    found = keys(folder)
    assert len(found) == len(set(found)) == 2 * 2 * 5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-30], r"line \d+ of 00-yesno-0001.jsonl is damaged"),
        (lambda data: b"{}\n" + data, "line 1 of 00-yesno-0001.jsonl is damaged"),
        (lambda data: data + data, "00-yesno-0001.jsonl does not hold unit 1 of task 'yesno'"),
        (lambda data: b"", "00-yesno-0001.jsonl does not hold unit 1 of task 'yesno'"),
    ],
)
def test_damage_is_refused_by_name(fill: Any, damage: Any, message: str) -> None:
    folder = fill(2)
    path = folder / "units" / "00-yesno-0001.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=f"{message}.*another --out"):
        fill(1)
    with pytest.raises(StudyError, match=f"cannot be read: {message}"):
        read_run(folder)


@pytest.mark.parametrize(
    "written",
    [
        lambda data: data.removesuffix(b"\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\n\n"),
        lambda data: data.replace(b'"answer": "', '"answer": "\u2028\u2029\x85'.encode()),
    ],
    ids=["no-end", "mark", "crlf", "blank", "separators"],
)
def test_records_as_editors_leave_them(fill: Any, written: Any) -> None:
    folder = fill(2)
    path = folder / "units" / "00-yesno-0001.jsonl"
    path.write_bytes(written(path.read_bytes()))
    recipe = folder / "recipe.json"
    recipe.write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(keys(folder)) == 8
    path.write_bytes("{}".encode("utf-16"))
    with pytest.raises(StudyError, match="00-yesno-0001.jsonl is in UTF-16; save it as UTF-8"):
        read_run(folder)


@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.gz"])
def test_runs_in_one_file_are_read_and_gone_on_with(fill: Any, name: str) -> None:
    folder = fill(2)
    data = b"".join(contents(folder).values())
    for path in unit_files(folder):
        path.unlink()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert len(keys(folder)) == 8
    fill(100)
    found = keys(folder)
    assert len(found) == len(set(found)) == 2 * 2 * 5
    assert len(unit_files(folder)) == len(plan_units(read_run(folder)[1])) - 2


@pytest.mark.parametrize("lost", [1, 2, 100, 1200, 1700])
def test_the_cut_tail_of_a_single_file_is_left_out(fill: Any, lost: int) -> None:
    folder = fill(2)
    data = b"".join(contents(folder).values())
    for path in unit_files(folder):
        path.unlink()
    (folder / "records.jsonl").write_bytes(data[:-lost])
    assert len(keys(folder)) == 4
    damaged = data.splitlines(keepends=True)
    (folder / "records.jsonl").write_bytes(b"".join([*damaged[:2], b"{}\n", *damaged[2:]]))
    with pytest.raises(StudyError, match=r"line 3 of records.jsonl is damaged"):
        read_run(folder)


def test_tasks_may_be_called_anything(config: StudyConfig) -> None:
    odd = config.model_copy(update={"tasks": ("a/b", "a b", "..")})
    units = [Unit(task, 0, (0,)) for task in odd.tasks]
    paths = [unit_file(Path("run"), odd, unit) for unit in units]
    assert len(set(paths)) == 3 and {path.parent for path in paths} == {Path("run/units")}


def test_another_recipe_is_refused(fill: Any, config: StudyConfig, recipe_of: MakeRecipe) -> None:
    folder = fill(1)
    before = contents(folder)
    other = config.model_copy(update={"batch": 1, "seed": 7})
    with pytest.raises(StudyError) as caught:
        RecordStore(folder, recipe_of(other), other)
    message = str(caught.value)
    assert "config.batch (2 there, 1 now)" in message
    assert "config.seed (0 there, 7 now)" in message
    assert "config.samples" not in message
    assert "another --out" in message
    assert contents(folder) == before
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
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(StudyError, match="another process"):
            RecordStore(tmp_path, recipe_of(config), config)
        other.kill()
    RecordStore(tmp_path, recipe_of(config), config).close()


def test_a_full_disk_keeps_the_units_before(fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(1)
    whole = contents(folder)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyError, match="No space left on device.*1 units are kept; make room"):
        fill(1)
    assert contents(folder) == whole
    monkeypatch.undo()
    fill(1)
    assert len(keys(folder)) == 8


def test_a_folder_that_cannot_be_written_is_refused(
    config: StudyConfig, recipe_of: MakeRecipe, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "units").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "taken"):
        with pytest.raises(StudyError, match="cannot be written"):
            RecordStore(folder, recipe_of(config), config)
