"""Cells in several processes of accelerate, and on Ray: the answers of one, whoever is killed."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")
from saccade.controller.errors import StudyError
from saccade.studies.lmms.answer_log import read_answers
from saccade.studies.lmms.cells import ANSWERS, Cell, How, cells_of, official_scores, run_cell
from saccade.studies.lmms.config import load_lmms_study
from saccade.studies.lmms.run import run_lmms_study
from tests.lmms.conftest import evaluating, n_answers, wait_for

StudyFile = Callable[..., Path]


def only_cell(path: Path, folder: Path) -> Cell:
    study = load_lmms_study(path)
    (cell,) = cells_of(study, study.models[0], folder)
    return cell


def said(cell: Cell) -> dict[int, tuple[str, int]]:
    """Answers of a cell by document, with their work."""
    lines = read_answers(cell.folder / ANSWERS)
    return {line["document"]: (line["text"], line["macs"]) for line in lines}


def test_two_processes_answer_as_one(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file("chartqa", cases=1)
    one, two = only_cell(path, tmp_path / "one"), only_cell(path, tmp_path / "two")
    run_cell(one, How(device="cpu"))

    def kill_a_worker() -> None:
        wait_for(lambda: n_answers(tmp_path / "two") > 2)
        evaluating(tmp_path / "two")[-1].kill()

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    with pytest.raises(StudyError, match="chartqa_local: none failed"):
        run_cell(two, How(2, "cpu"))
    killer.join()
    wait_for(lambda: not evaluating(tmp_path / "two"))
    before = n_answers(tmp_path / "two")
    assert 2 < before < 24

    run_cell(two, How(2, "cpu"))
    assert len(list((two.folder / ANSWERS).glob("answers-*.jsonl"))) == 2
    assert n_answers(tmp_path / "two") == 24  # what was kept was not asked again
    assert said(two) == said(one)
    assert official_scores(two) == pytest.approx(official_scores(one))


def test_ray_begins_again_where_a_worker_is_lost(study_file: StudyFile, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out"

    def kill_a_worker() -> None:
        wait_for(lambda: n_answers(out) > 2)
        parent = evaluating(out)[0].parent()
        assert parent is not None
        parent.kill()

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    study = load_lmms_study(study_file("chartqa"))
    outcome = run_lmms_study(study, out, how=How(device="cpu"), ray="local")
    killer.join()
    assert outcome.failed == [] and outcome.finished == ["embedded/llada-v"]
    assert n_answers(out) == 2 * 24
