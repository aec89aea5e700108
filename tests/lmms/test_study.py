"""Studies over local tasks: killed and resumed, with a task that fails, in the form of our own."""

import csv
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")
from saccade.controller.errors import StudyError
from saccade.studies.analysis.summary import summarise
from saccade.studies.lmms import cells
from saccade.studies.lmms.cells import Cell, How, cells_of
from saccade.studies.lmms.config import load_lmms_study
from saccade.studies.lmms.run import run_lmms_study
from saccade.studies.runs.records import read_run
from tests.lmms.conftest import WAIT, evaluating, n_answers, wait_for

StudyFile = Callable[..., Path]


def test_a_study_that_is_killed_goes_on(study_file: StudyFile, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "saccade.studies.cli", "study", "run"]
    command += [str(study_file("mme", "chartqa")), "--lmms", "--out", str(out), "--device", "cpu"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: n_answers(out) > 32)  # the second case's first answers
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(lambda: not evaluating(out))
    before = {path: path.read_bytes() for path in out.rglob("answers-*.jsonl")}
    done = {path: path.stat().st_mtime_ns for path in out.rglob("done.json")}
    assert len(done) == 1 and len(before) == 2

    again = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert all(
        path.read_bytes().startswith(text[: text.rfind(b"\n")]) for path, text in before.items()
    )
    assert n_answers(out) == 2 * (32 + 24)  # each asked once

    _, config, records = read_run(out)
    assert config.sizes == {"mme_local": 32, "chartqa_local": 24}
    assert len(records) == 2 * (32 + 24)
    rows = {(row["task"], row["case"]): row for row in summarise(out).rows()}
    pruned = rows["mme_local", "DivPrune, keep 50 %"]
    assert pruned["n"] == 32 and pruned["visual_tokens_ratio"] == 0.5
    assert pruned["macs"] < rows["mme_local", "none"]["macs"]
    with (out / "official.csv").open(encoding="utf-8", newline="") as file:
        metrics = {row["metric"] for row in csv.DictReader(file)}
    assert {"mme_perception_score", "relaxed_overall"} <= metrics
    assert (out / "report.html").stat().st_size > 0


def test_a_task_that_fails_does_not_end_the_others(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_lmms_study(study_file("mme", "chartqa", cases=1))
    real = cells.command

    def broken(cell: Cell, how: How) -> list[str]:
        return (
            [sys.executable, "-c", "raise SystemExit('no such thing')"]
            if "mme" in cell.task
            else real(cell, how)
        )

    monkeypatch.setattr(cells, "command", broken)
    outcome = run_lmms_study(study, tmp_path / "out", how=How(device="cpu"))
    assert len(outcome.failed) == 1
    assert "mme_local: none failed" in outcome.failed[0] and "no such thing" in outcome.failed[0]
    assert read_run(tmp_path / "out")[1].tasks == ("chartqa_local",)


def test_cells_of_other_settings_are_others(study_file: StudyFile, tmp_path: Path) -> None:
    def keys(**more: object) -> list[str]:
        study = load_lmms_study(study_file("mme", "chartqa", **more))
        return [cell.key for cell in cells_of(study, study.models[0], tmp_path)]

    plain = keys()
    assert len(set(plain)) == 4
    changed = keys(options={"chartqa": {"steps": 4}})
    assert changed[:2] == plain[:2] and not set(changed[2:]) & set(plain)
    assert not set(keys(seed=1)) & set(plain)
    assert not set(keys(limit=4)) & set(plain)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"baseline": "gone"}, "gone"),
        ({"options": {"stepps": 3}}, "stepps"),
        ({"tusks": 1}, "tusks"),
        ({"include_path": "gone"}, "no folder of tasks"),
    ],
)
def test_wrong_studies_are_refused(
    study_file: StudyFile, tmp_path: Path, more: dict[str, object], said: str
) -> None:
    with pytest.raises(StudyError, match=said):
        run_lmms_study(load_lmms_study(study_file("mme", **more)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
