"""The command as recipes show it."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from saccade.studies.cli import app
from saccade.studies.cli.typed_command import typed_command
from saccade.studies.config.study import StudyConfig


def test_passwords_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--storage", "postgresql://me:secret@host/db", "--storage=mysql://a:secret@h/d"]
    monkeypatch.setattr(sys, "argv", ["saccade", "tune", "run", "a b.yaml", *words])
    told = typed_command()
    assert "secret" not in told and "me:***@host/db" in told
    assert told.startswith("saccade tune run 'a b.yaml' --storage ")


def test_a_study_records_it_and_goes_on_under_another_one(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = tmp_path / "study.yaml", tmp_path / "run"
    small = config.model_copy(update={"samples": 1, "tasks": ("yesno",)})
    file.write_text(yaml.safe_dump(small.plain()))
    words = ["study", "run", str(file), "--out", str(folder)]
    for more in ([], ["--threads", "1"]):
        monkeypatch.setattr(sys, "argv", ["saccade", *words, *more])
        done = CliRunner().invoke(app, [*words, "--threads", "1"])
        assert done.exit_code == 0, done.output
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["command"] == f"saccade study run {file} --out {folder}"
    page = tmp_path / "report.html"
    assert CliRunner().invoke(app, ["report", str(folder), "-o", str(page)]).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert recipe["command"] in text and recipe["backbone"]["attention"] in text
