"""A small study with ``--wandb``, as one types it: what is read back is what the study shows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saccade.studies.cli import app
from saccade.studies.tracking.from_study import WORDS

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

STUDY = """
name: small
samples: 2
batch: 2
tasks: [yesno]
cases:
  - name: none
  - {name: quarter, policy: "after_share(share=0.0, keep=0.25)", pruner: random()}
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the study's file, and nobody's credentials."""
    for name in ("API_KEY", "MODE", "BASE_URL", "PROJECT", "IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(STUDY, encoding="utf-8")


def invoke(*words: str) -> str:
    result = CliRunner(env={"COLUMNS": "140"}).invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def summaries(folder: Path) -> dict[str, dict[str, Any]]:
    """What wandb tells of each run in a folder, by what it is called."""
    found = {}
    for own in folder.glob("wandb/offline-run-*"):
        command = [
            sys.executable,
            "-m",
            "wandb",
            "leet",
            "inspect",
            "--summary",
            "--json",
            str(own),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        found[told["name"]] = told
    return found


def shown_pictures(folder: Path) -> list[dict[str, Any]]:
    """Pictures in tables, from the artifacts that wait to be sent: each is in two of them."""
    found = []
    for path in folder.glob("wandb/data/artifacts/staging/*"):
        data = path.read_bytes()
        table = json.loads(data) if data.startswith(b'{"_type": "table"') else {"columns": ()}
        if "picture" in table["columns"]:
            kind = table["column_types"]["params"]["type_map"]["picture"]
            assert "image-file" in json.dumps(kind), "else no picture is drawn"
            found += [row[table["columns"].index("picture")] for row in table["data"]]
    return found


def test_what_is_read_back_is_what_the_study_shows() -> None:
    shown = invoke("study", "run", "small.yaml", "--wandb")
    folder = Path("runs/small")
    found = summaries(folder)
    assert set(found) == {"none", "quarter", "small"}
    assert {(own["project"], own["state"]) for own in found.values()} == {("saccade", "finished")}
    for row in json.loads(invoke("study", "show", str(folder), "--json"))["cases"]:
        own = found[row["case"]]["summary"]
        told = {k: v for k, v in row.items() if k not in WORDS and v is not None}
        assert {name: own[f"yesno/{name}"] for name in told} == told
    pictures = {own["caption"]: own.get("masks", {}) for own in shown_pictures(folder)}
    assert sorted(map(len, pictures.values())) == [0, 0, 1, 1]
    assert all(bool(masks) != ("every visual" in word) for word, masks in pictures.items())

    before = sorted(folder.glob("wandb/offline-run-*"))
    assert invoke("study", "run", "small.yaml", "--wandb") == shown
    assert sorted(folder.glob("wandb/offline-run-*")) == before, "nothing is written twice"

    invoke("study", "run", "small.yaml", "--out", "other", "--wandb", "mine")
    other = [path.name.split("-", 3)[-1] for path in Path("other").glob("wandb/offline-run-*")]
    assert len(other) == 3, "another folder is another run"
    assert {own["run_id"] for own in found.values()}.isdisjoint(other)
