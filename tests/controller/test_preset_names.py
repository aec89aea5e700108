"""Where presets come from: names, paths and the hub."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saccade.controller import Controller, PresetError
from saccade.controller.preset_names import find_preset, shipped_presets
from tests.controller.presets import made


@pytest.mark.parametrize(
    "name", ["embedded/llada-v/lnog", "embedded/../../etc/passwd", "./no.json"]
)
def test_unknown_names_list_what_there_is(name: str) -> None:
    with pytest.raises(PresetError, match="no preset") as caught:
        find_preset(name)
    assert all(known in str(caught.value) for known in shipped_presets())


@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "~nobody-there/x/y", "", " ", "a//b"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises((PresetError, FileNotFoundError)):
        find_preset(name)


def test_the_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_: Any, **__: Any) -> None:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", offline)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(PresetError, match="cannot be reached: .*go online, or give the path"):
        Controller.from_preset("owner/preset-of-mine")


ASKED = """
import logging, sys
from unittest import mock
from saccade.controller import Controller, PresetError

logging.basicConfig(level=logging.WARNING)
with mock.patch("time.sleep", side_effect=SystemExit("it waits to try again")):
    try:
        Controller.from_preset("owner/preset-of-mine")
    except PresetError as error:
        print(error)
"""


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_hub_at_a_closed_port_is_asked_once(tmp_path: Path, offline: str) -> None:
    """And when offline by wish, not at all."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # not listening: connections are refused
        where = f"http://127.0.0.1:{held.getsockname()[1]}"
        own = {"HF_ENDPOINT": where, "HF_HUB_OFFLINE": offline, "HF_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", ASKED], env=os.environ | own, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert "cannot be reached" in done.stdout and "etry" not in done.stderr


@pytest.mark.parametrize("online", [True, False])
def test_a_preset_of_the_hub_is_read_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: bool
) -> None:
    import huggingface_hub

    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    made().write(blobs / "123")
    (snapshot / "preset.json").symlink_to("../../blobs/123")

    def download(_: str, file: str, local_files_only: bool) -> str:
        assert local_files_only is not online
        return str(snapshot / file)

    def answer(*_: Any, **__: Any) -> None:
        if not online:
            raise OSError("no way to it")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answer)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    found = find_preset("owner/preset-of-mine")
    assert found.preset == made() and found.root == tmp_path


@pytest.mark.parametrize("name", shipped_presets())
def test_shipped_presets_are_sound(name: str) -> None:
    own = find_preset(name).preset
    assert own.name == name and name.startswith(f"{own.backbone.name}/")
    assert name.endswith(f"/{own.task.kind}")
    assert own.search.command.startswith("saccade ") and own.splits.test > 0
    assert own.front.score_relative is not None and own.front.ideal is not None
    assert own.certificate is not None and own.certificate.backbone == own.backbone.hash
    Controller.from_preset(name)
