"""Cases against a pinned baseline: counts made by hand, and pictures that are shared."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from saccade.controller.errors import StudyError
from saccade.studies.analysis.pairs import pairs_of
from saccade.studies.analysis.summary import summarise
from saccade.studies.config.study import Case, StudyConfig
from saccade.studies.runs.record import Record
from saccade.studies.tasks.question_files import QuestionFile

MakeRun = Callable[..., Path]


def broken(record: Record) -> Record:
    """“half” breaks samples 0 and 1, and says the same otherwise for sample 2."""
    if record.case != "half":
        return replace(record, seconds=1.9)
    wrong = record.sample < 2
    answer = "No" if wrong else "Yes." if record.sample == 2 else "Yes"
    return replace(record, answer=answer, score=float(not wrong), seconds=0.9)


def test_what_broke_is_counted(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, broken))
    rows = {(own.case, own.task): own for own in pairs_of(summary).rows}
    own = rows["half", "yesno"]
    assert (own.n, own.pictures, own.broke, own.fixed, own.worse) == (5, 5, 2, 0, 2)
    assert (own.change, own.flip_rate, own.changed) == (-0.4, 0.4, 0.6)
    assert own.p_value == 0.5 and own.right_or_wrong and own.speedup == pytest.approx(2)
    assert rows["none", "yesno"].change == 0 and rows["none", "yesno"].p_value == 1


def test_changes_are_those_of_the_summary(config: StudyConfig, made_run: MakeRun) -> None:
    def graded(record: Record) -> Record:
        return replace(record, score=(record.sample % 3 + len(record.case) % 2) / 7)

    summary = summarise(made_run(config, graded))
    told = {(row["case"], row["task"]): row["score_change"] for row in summary.rows()}
    for own in pairs_of(summary).rows:
        assert own.change == told[own.case, own.task]
        assert not own.right_or_wrong


def test_another_case_can_be_the_baseline(config: StudyConfig, made_run: MakeRun) -> None:
    summary = summarise(made_run(config, broken))
    found = pairs_of(summary, "half")
    rows = {(own.case, own.task): own for own in found.rows}
    assert found.baseline == "half"
    assert rows["none", "code"].change == 0.4 and rows["none", "code"].speedup < 1
    assert rows["half", "code"].broke == 2, "flips are against the unpruned model"
    with pytest.raises(StudyError, match="'other'.*none, half"):
        pairs_of(summary, "other")


@pytest.fixture
def benchmark(tmp_path: Path) -> QuestionFile:
    """Six questions about three pictures."""
    lines = []
    for i in range(6):
        name = f"{i // 2}.png"
        Image.new("RGB", (16, 16), (40 * (i // 2), 0, 0)).save(tmp_path / name)
        lines.append(json.dumps({"image": name, "question": f"{i}?", "answer": "Yes"}))
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return QuestionFile(name="own", file=file, gen_length=4, block_length=4, steps=2)


def run_of(benchmark: QuestionFile, made_run: MakeRun, seeds: tuple[int, ...] = ()) -> Path:
    cases = (Case(name="none"), Case(name="half", policy="after_share(0, keep=0.5)"))
    config = StudyConfig(
        name="own", samples=6, batch=6, tasks=("own",), cases=cases, benchmarks=(benchmark,)
    )
    folder = made_run(config.model_copy(update={"seeds": seeds}), broken)
    recipe = json.loads((folder / "recipe.json").read_text())
    digest = hashlib.sha256(benchmark.file.read_bytes()).hexdigest()
    recipe["benchmarks"] = {"own": {"sha256": digest, "n": 6}}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def test_questions_about_one_picture_count_once(benchmark: QuestionFile, made_run: MakeRun) -> None:
    found = pairs_of(summarise(run_of(benchmark, made_run)))
    own = found.rows[1]
    assert (own.n, own.pictures, own.broke, own.worse) == (6, 3, 2, 1)
    assert not found.problems


def test_a_file_that_has_changed_is_told(benchmark: QuestionFile, made_run: MakeRun) -> None:
    folder = run_of(benchmark, made_run)
    text = benchmark.file.read_text().replace("5?", "six?")
    benchmark.file.write_text(text)
    found = pairs_of(summarise(folder))
    assert found.rows[1].pictures == 6
    assert "own.jsonl has changed" in found.problems[0] and "too narrow" in found.problems[0]
    benchmark.file.unlink()
    assert "cannot be read" in pairs_of(summarise(folder)).problems[0]
