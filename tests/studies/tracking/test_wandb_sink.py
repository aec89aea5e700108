"""What wandb has written is read back, without a server and with one that stands in."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saccade.studies.analysis.summary import Summary
from saccade.studies.tracking.from_study import WORDS
from saccade.studies.tracking.track import open_sinks, track
from tests.studies.tracking.sinks import stand_in

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow


def send(summary: Summary, folder: Path) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    sink = open_sinks(folder, "team/mine", None, problems.append)
    return list(track([summary], sink)), problems


def written(folder: Path) -> dict[str, list[list[dict[str, Any]]]]:
    """Records of every file that wandb has written, by run."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for own in sorted((folder / "wandb").glob("offline-run-*")):
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(own)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        head = next(record["run"] for record in records if record["type"] == "run")
        found.setdefault(head["run_id"], []).append(records)
    return found


def head(records: list[dict[str, Any]]) -> dict[str, Any]:
    return next(record["run"] for record in records if record["type"] == "run")


def updates(records: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        found |= record.get("summary", {}).get("update", {})
    return found


def history(files: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [r["history"]["item"] for file in files for r in file if r["type"] == "history"]


def of(found: dict[str, list[list[dict[str, Any]]]], name: str) -> list[list[dict[str, Any]]]:
    return next(files for files in found.values() if head(files[0])["display_name"] == name)


def test_a_study_offline_is_whole_and_resumed_without_repeating(
    study: Callable[..., Summary], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    _, problems = send(study(3), folder)
    assert not problems
    summary = study()
    notes, problems = send(summary, folder)
    assert not problems and "to send them: wandb sync" in notes[0]
    count = len(list((folder / "wandb").glob("offline-run-*")))
    send(summary, folder)
    assert len(list((folder / "wandb").glob("offline-run-*"))) == count, "sent without news"

    found = written(folder)
    assert len(found) == 3 and {len(files) for files in found.values()} == {2}
    _check_figures(found, summary)
    _check_charts(of(found, "half"))
    _check_parts(found)
    assert {path.name for path in folder.iterdir()} == {"wandb"}


def _check_figures(found: dict[str, list[list[dict[str, Any]]]], summary: Summary) -> None:
    for row in summary.to_json()["cases"]:
        files = of(found, row["case"])
        assert head(files[-1])["run_group"] == "made-up"
        assert head(files[-1])["entity"] == "team" and head(files[-1])["project"] == "mine"
        assert head(files[-1])["config"]["update"]["recipe"] == summary.recipe
        own = updates(files[-1])
        for key, value in row.items():
            if key not in WORDS and value is not None:
                assert own[f"{row['task']}/{key}"] == value, (row["case"], key)


def _check_charts(files: list[list[dict[str, Any]]]) -> None:
    """Each task's signals are there once, on an axis of their own, in steps that go on."""
    rows = history(files)
    for task in ("yesno", "code"):
        own = [row for row in rows if f"{task}/confidence" in row]
        assert [(row["step"], row[f"{task}/confidence"]) for row in own] == [
            (0, 0.25),
            (1, 0.5),
            (2, 0.75),
        ]
    steps = [row["_step"] for row in rows]
    assert steps == sorted(set(steps))
    metrics = {
        record["metric"]["name"]: record["metric"].get("step_metric")
        for file in files
        for record in file
        if record["type"] == "metric"
    }
    assert metrics["yesno/attention on visual"] == metrics["code/keep"] == "step"


def _check_parts(found: dict[str, list[list[dict[str, Any]]]]) -> None:
    artifacts = {
        name: [
            (record["artifact"]["type"], bool(record["artifact"].get("use_after_commit")))
            for file in of(found, name)
            for record in file
            if record["type"] == "artifact"
        ]
        for name in ("half", "made-up")
    }
    assert ("records", False) in artifacts["half"]
    assert ("records", True) in artifacts["made-up"] and ("results", False) in artifacts["made-up"]
    shown = json.dumps(history(of(found, "made-up")))
    assert "front/yesno" in shown and "plotly-file" in shown and "cases" in shown
    rows = json.dumps(history(of(found, "half")))
    assert "samples/code" in rows and "table-file" in rows


def test_runs_are_sent_to_a_server_once(
    study: Callable[..., Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with stand_in() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        notes, problems = send(study(), tmp_path)
        assert (notes, problems) == ([f"wandb: 3 runs sent to {server.url}"], [])
        sent = [own["name"] for name, own in server.asked if name == "UpsertBucket"]
        assert len(set(sent)) == 3
        assert {"records.jsonl.gz", "summary.parquet"} <= server.uploaded
        confidences = [line for line in server.streamed if "yesno/confidence" in line]
        assert len(confidences) == 3
        asked = len(server.asked)
        notes, _ = send(study(), tmp_path)
        assert "nothing new" in notes[0] and len(server.asked) == asked


def test_a_server_that_hangs_leaves_the_runs_on_disk(
    study: Callable[..., Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr("saccade.studies.tracking.track.SENDING", 0.05)
    with stand_in(hang=True) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("SACCADE_TRACK_SECONDS", "100")
        notes, (problem,) = send(study(), tmp_path)
    assert not notes and "did not take them in 5 s; the runs are kept in" in problem
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs root and tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_costs_the_runs_and_nothing_else(
    study: Callable[..., Summary], small_disk: Path
) -> None:
    result = small_disk / "summary.csv"
    result.write_text("kept")
    with (small_disk / "full").open("wb") as file:
        file.write(bytes(20 << 20))
    notes, (problem,) = send(study(), small_disk)
    assert not notes and "no space left for wandb" in problem
    assert result.read_text() == "kept"
    (small_disk / "full").unlink()
    notes, problems = send(study(), small_disk)
    assert notes and not problems, "once there is room, the same command sends what is missing"
