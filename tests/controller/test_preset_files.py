"""Files of presets: read within bounds and within their folder, written whole or not at all."""

import json
import os
from pathlib import Path

import pytest

from saccade.controller import Preset, PresetError
from saccade.controller.preset_files import LARGEST, read_object
from tests.controller.presets import made

BAD = (PresetError, FileNotFoundError)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a":' * 100_00 + b"1" + b"}" * 100_00,
        b"[" * 100_000,
        b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"{" + b" " * (LARGEST + 1) + b"}",
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(data)
    with pytest.raises(PresetError, match=str(file)):
        Preset.read(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Preset.read(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError):
        Preset.read(tmp_path)
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises((PresetError, FileNotFoundError)):
            Preset.read(name)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(PresetError, match="no regular file|not a regular file"):
        Preset.read(pipe)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.json", tmp_path / "own"
    made().write(outside)
    folder.mkdir()
    (folder / "preset.json").symlink_to(outside)
    with pytest.raises(PresetError, match="leads out of"):
        Preset.read(folder)
    (folder / "preset.json").unlink()
    (folder / "preset.json").symlink_to(folder / "preset.json")
    with pytest.raises(BAD):
        Preset.read(folder)
    (folder / "preset.json").unlink()
    made().write(folder / "real.json")
    (folder / "preset.json").symlink_to("real.json")
    assert Preset.read(folder) == made()


def test_reading_bounds_are_on_the_whole_object(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"a": [{"b": {}}]}))
    assert read_object(file) == ({"a": [{"b": {}}]}, file)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made().write(tmp_path / "a.json")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        made(name="other").write(file)
    assert Preset.read(file) == made() and [p.name for p in tmp_path.iterdir()] == ["a.json"]
