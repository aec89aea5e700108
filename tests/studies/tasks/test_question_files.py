"""Files of questions: wrong ones, a study on one, and on other models."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from saccade.controller.errors import StudyError
from saccade.studies.config.cases import each_model, load_study, with_own
from saccade.studies.runs.records import read_run
from saccade.studies.runs.runner import run_study
from saccade.studies.tasks.documents import make_sample
from saccade.studies.tasks.question_files import QuestionFile

LENGTHS = {"gen_length": 16, "block_length": 16, "steps": 4}


def write(folder: Path, lines: list[Any], **fields: Any) -> Path:
    """A benchmark's YAML file, its questions and pictures."""
    for index in range(2):
        make_sample("code", index).page.image.save(folder / f"{index}.png")
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "questions.jsonl").write_text(text)
    content = {"name": "mine", "file": "questions.jsonl", **LENGTHS, **fields}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    return folder / "mine.yaml"


def line(index: int = 0, **changes: Any) -> dict[str, Any]:
    sample = make_sample("code", index)
    own = {"image": f"{index}.png", "question": sample.question, "answer": sample.answer}
    return own | changes


def question_file(path: Path) -> QuestionFile:
    values = yaml.safe_load(path.read_text())
    return QuestionFile.model_validate(values | {"file": path.parent / values["file"]})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no line"),
        (["{"], "line 1 is not JSON"),
        (
            [line(), {"image": "0.png"}],
            r"line 2 has \['image'\]; give image, question",
        ),
        ([line(question=" ")], "question=.* give texts that are not empty"),
        ([line(answers=[])], r"answers=\[\]; give texts"),
        ([line(image="9.png")], "line 1: there is no picture at .*9.png"),
        ([line(image=[])], r"image=\[\]; give texts"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        question_file(write(tmp_path, lines)).items()


def study(folder: Path, **fields: Any) -> Path:
    cases = [
        {"name": "none"},
        {
            "name": "late",
            "policy": "after_share(share=0.5, keep=0.25)",
            "pruner": "uniform",
        },
    ]
    own = folder / "study.yaml"
    own.write_text(yaml.safe_dump({"name": "own", "samples": 2, "cases": cases, **fields}))
    return own


def test_a_study_on_a_benchmark(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0), line(1)])
    values = yaml.safe_load(path.read_text())
    config = load_study(study(tmp_path, benchmarks=[values]))
    assert config.tasks == ("mine",)
    same = with_own(load_study(study(tmp_path, samples=2)), benchmarks=[path])
    assert same.tasks == ("mine",) and same.benchmarks[0].items() == config.benchmarks[0].items()
    folder = run_study(same, tmp_path / "run")
    recipe, _, records = read_run(folder)
    assert recipe["settings"]["mine"]["steps"] == 4 and recipe["benchmarks"]["mine"]["n"] == 2
    assert [(r.task, r.case, r.sample) for r in records][:2] == [
        ("mine", "none", 0),
        ("mine", "none", 1),
    ]
    assert all(r.expected == make_sample("code", r.sample).answer for r in records)
    (tmp_path / "questions.jsonl").write_text(json.dumps(line(1)) + "\n" + json.dumps(line(0)))
    with pytest.raises(StudyError, match="recipe"):
        run_study(same, folder)  # the questions are others now


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "code"}, "named 'code', as a registered task is"),
        ({"metric": "bleu"}, "metric: unknown metric 'bleu'; known: anls, choice, contains, exact"),
        ({"gen_length": 0}, "gen_length"),
        ({"shape": 3}, "unknown key 'shape'"),
    ],
)
def test_wrong_benchmarks_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    path = write(tmp_path, [line(0), line(1)], **change)
    with pytest.raises(StudyError, match=message):
        with_own(load_study(study(tmp_path)), benchmarks=[path])


def test_without_a_block_length_the_answer_is_one_block(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0), line(1)], gen_length=24, block_length=None)
    (own,) = with_own(load_study(study(tmp_path)), benchmarks=[path]).benchmarks
    assert (own.gen_length, own.block_length) == (24, 24)


def test_more_samples_than_questions_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0)])
    with pytest.raises(StudyError, match="samples=2, but the task 'mine' has 1; give as many"):
        with_own(load_study(study(tmp_path)), benchmarks=[path])


def test_other_models() -> None:
    table = load_study(Path(__file__).parents[3] / "studies" / "configs" / "table3.yaml")
    one = with_own(table, ["embedded/llava-ar"])
    assert (one.model, one.models) == ("embedded/llava-ar", ())
    two = with_own(table, ["embedded/llava-ar", "embedded/llada-v"])
    assert two.models == ("embedded/llava-ar", "embedded/llada-v")
    with pytest.raises(StudyError, match="model nowhere"):
        with_own(table, ["nowhere"])


def test_one_of_the_study_s_own_models_runs_its_own_cases() -> None:
    path = Path(__file__).parents[3] / "studies" / "configs" / "adaptive-core.yaml"
    whole = load_study(path)
    singles = {single.model: single for single in each_model(whole)}
    for name, single in singles.items():
        alone = with_own(whole, [name])
        assert alone.model == name
        assert [case.name for case in alone.cases] == [case.name for case in single.cases]
    both = with_own(whole, list(whole.models))
    assert [case.models for case in both.cases] == [case.models for case in whole.cases]
    foreign = with_own(whole, ["embedded/llava-ar"])
    assert len(foreign.cases) == len(whole.cases)
