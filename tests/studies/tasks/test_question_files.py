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
        ([line(answers="Yes")], "answers='Yes'; give texts"),
        ([line(answer=42)], r"answers=\[42\]; give texts"),
        ([line(question=["What?"])], "question=.* give texts"),
        ([line(question=None)], "question=.* give texts"),
        (["[1]"], r"line 1 has \[\]; give image"),
        (["[" * 100_000], "line 1 is not JSON: its lists or objects are nested too deeply"),
        ([line(), line(question="\ud800")], "line 2: question='.ud800' is not valid Unicode"),
        ([line(answers=["a", "b\udfff"])], "line 1: answers='b.udfff' is not valid Unicode"),
        ([line(image="\udc80.png")], "line 1: image='.udc80.png' is not valid Unicode"),
        ([line(image="\0.png")], "line 1: there is no picture at"),
        ([line(image="a" * 5000)], "line 1: there is no picture at"),
        ([line(image=".")], "line 1: there is no picture at"),
        (
            [line(), line(question="<image> <image> <image>?")],
            "line 2: the prompt has 3 image placeholders but 1 images were given",
        ),
        (
            [line(image=["0.png", "1.png"], question="<image><image><image>")],
            "line 1: the prompt has 3 image placeholders but 2 images",
        ),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        question_file(write(tmp_path, lines)).items()


@pytest.mark.parametrize("wanted", ["I", "42", "A, C", "."])
def test_right_answers_that_could_never_be_scored_are_refused(tmp_path: Path, wanted: str) -> None:
    rows = [line(answer="A"), line(answer="(b)"), line(answers=["A", wanted])]
    with pytest.raises(StudyError, match=r"questions.jsonl, line 3: the right answer .* choice kn"):
        question_file(write(tmp_path, rows, metric="choice")).items()
    assert len(question_file(write(tmp_path, rows, metric="contains")).items()) == 3


def test_all_wrong_lines_are_named_up_to_a_few(tmp_path: Path) -> None:
    bad = [line(question=""), "{", line(image="9.png")]
    path = write(tmp_path, [line(), bad[0], line(), bad[1], bad[2]])
    with pytest.raises(StudyError) as caught:
        question_file(path).items()
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'questions.jsonl'}, line 2: question=")
    assert "; line 4 is not JSON" in message and "; line 5: there is no picture at" in message
    with pytest.raises(StudyError, match=r"line 5.*; and 4 more$") as caught:
        question_file(write(tmp_path, bad * 3)).items()
    assert "line 6" not in str(caught.value)


SEPARATORS = "\u2028 \u2029 \u0085 \x0b \x0c \x1c \r"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end", "blank"])
def test_lines_end_at_line_feeds_alone(end: str, mark: str, last: str, tmp_path: Path) -> None:
    path, asked = write(tmp_path, []), f"Which {SEPARATORS} code?"
    rows = [line(), line(1, question=asked), line()]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    for character in "\x0b\x0c\x1c\r":  # which `dumps` escapes
        texts = [text.replace(json.dumps(character)[1:-1], character) for text in texts]
    tail = {"": "", "end": end, "blank": end + " " + end + end}[last]
    (tmp_path / "questions.jsonl").write_bytes((mark + (end + end).join(texts) + tail).encode())
    items = question_file(path).items()
    assert [item.question for item in items] == [row["question"] for row in rows]
    assert [item.line for item in items] == [1, 3, 5]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_other_encodings_are_named(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, [])
    (tmp_path / "questions.jsonl").write_bytes(json.dumps(line()).encode(encoding))
    with pytest.raises(StudyError, match=r"questions.jsonl is in UTF-(16|32).*; save it as UTF-8"):
        question_file(path).items()


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [])
    good = json.dumps(line()).encode()
    (tmp_path / "questions.jsonl").write_bytes(good + b"\n" + b'{"question": "caf\xe9"}')
    with pytest.raises(StudyError, match=r"questions.jsonl, line 2 is not JSON: byte 18 is not"):
        question_file(path).items()


def test_damaged_pictures_are_named_before_the_first_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that are cut short show it only when they are decoded."""
    path = write(tmp_path, [line(0), line(1), line(0), line(image=["0.png", "cut.png"])])
    whole = (tmp_path / "1.png").read_bytes()
    for name in ("1.png", "cut.png"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    config = with_own(load_study(study(tmp_path, samples=4)), benchmarks=[path])
    monkeypatch.setattr("saccade.studies.runs.runner.load", None)  # nothing is loaded or asked
    with pytest.raises(StudyError) as caught:
        run_study(config, tmp_path / "run")
    message = str(caught.value)
    assert message.startswith(
        f"{tmp_path / 'questions.jsonl'}, line 2: {tmp_path / '1.png'} cannot"
    )
    assert "; line 4: " in message and "cut.png cannot be read as a picture" in message
    assert not (tmp_path / "run").exists()
    own = config.benchmarks[0]
    own.check_pictures(1)  # a question that is not asked may have a damaged one
    with pytest.raises(StudyError, match="line 4: .*cut.png cannot be read"):
        own.items()[3].images  # noqa: B018


def test_files_that_are_no_pictures_are_named_with_all_other_faults(tmp_path: Path) -> None:
    path = write(tmp_path, [line(question=""), line(image="1.png"), line(image="9.png")])
    (tmp_path / "1.png").write_text("no picture")
    with pytest.raises(StudyError, match="line 1: .*; line 2: .*1.png is not a pict.*; line 3"):
        question_file(path).items()


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
