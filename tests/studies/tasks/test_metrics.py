"""Metrics: each by hand, the same table for all of them, and those of installed packages."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import saccade.controller.registry as registry_module
from saccade.controller.errors import StudyError, UnknownNameError
from saccade.studies.tasks import Metric, QuestionFile, metrics
from saccade.studies.tasks.metrics import METRICS
from saccade.studies.tasks.scoring import edits

LENGTHS = {"gen_length": 16, "block_length": 16, "steps": 4}
EXAMPLES: dict[str, list[tuple[list[str], str, float]]] = {
    "exact": [
        (["Yes"], " yes. ", 1.0),
        (["no", "nope"], "Nope", 1.0),
        (["no"], "not", 0.0),
        ([".", "?!"], "", 0.0),
        (["."], "..", 0.0),
        (["..."], "...", 1.0),
        (["caf\u00e9"], "CAFE\u0301.", 1.0),
        (["%"], "%.", 1.0),
        (["NaN"], "nan", 1.0),
    ],
    "contains": [
        (["12"], "It is 12 %", 1.0),
        (["13"], "It is 12 %", 0.0),
        (["12."], "It is 12 %", 1.0),
        (["."], "It is 12", 0.0),
        (["."], "It is 12.", 1.0),
        ([".."], "It is 12.", 0.0),
        (["..."], "Well ... no", 1.0),
        (["?"], "Who knows", 0.0),
        (["\u200b"], "anything", 0.0),
        (["na\u00efve"], "Nai\u0308ve it is", 1.0),
    ],
    "relaxed": [
        (["100"], "105", 1.0),
        (["100"], "105.1", 0.0),
        (["1,000"], "$1001.", 1.0),
        (["25%"], "0.25", 1.0),
        (["0"], "0.001", 0.0),
        (["red"], "Red", 1.0),
        (["NaN"], "NaN", 1.0),
        (["nan"], "NaN.", 1.0),
        (["inf"], "inf", 1.0),
        (["-Infinity"], "-infinity", 1.0),
        (["inf"], "1e9", 0.0),
        (["5"], "nan", 0.0),
        (["5"], "inf", 0.0),
        (["1e999999"], "1e999999", 1.0),
        (["1e999999"], "2e999999", 0.0),
        (["0.3"], "0.315", 1.0),
        (["0.3"], "0.3151", 0.0),
        (["-2"], "\u22122", 1.0),
        (["-$5"], "-5", 1.0),
        (["1,234,567"], "1234567", 1.0),
        (["12,34"], "1234", 0.0),
        (["1, 2"], "12", 0.0),
        (["1,2"], "1,2", 1.0),
        (["[1, 2]"], "[1, 2]", 1.0),
        (["1_000"], "1000", 0.0),
        (["%"], "%", 1.0),
        (["."], "", 0.0),
        (["25 %"], "0.25", 1.0),
        (["5%"], "5", 0.0),
    ],
    "anls": [
        (["hello"], "hallo", 0.8),
        (["hello"], "hxxxo", 0.0),
        (["ab", "abcd"], "abc", 0.75),
        (["same"], "SAME", 1.0),
        (["ab"], "ax", 0.0),
        (["abcd"], "abxy", 0.0),
        (["abc"], "abx", 2 / 3),
        (["."], "", 0.0),
        (["a"], "", 0.0),
        (["NaN"], "NaN", 1.0),
    ],
    "choice": [
        (["B"], "The answer is B.", 1.0),
        (["(c)"], "C", 1.0),
        (["A"], "Apples are B", 0.0),
        (["A"], "none", 0.0),
        (["b"], "b", 1.0),
        (["(c)"], "(c)", 1.0),
        (["[D]"], "d)", 1.0),
        (["H:"], "H", 1.0),
        (["A"], "A\u0301 B", 0.0),
        (["B"], "I say B", 1.0),
        (["B"], "It is a 3D model, so B", 1.0),
        (["A"], "A1", 0.0),
        (["B"], "1.B", 1.0),
    ],
    "verbatim": [(["Yes"], " Yes\n", 1.0), (["Yes"], "yes", 0.0), (["Yes"], "Yes.", 0.0)],
    "lines": [
        (["12\n34"], "12 \n 34\n", 1.0),
        (["12\n34"], "12\n35", 0.5),
        (["12\n34"], "12\n34\n56", 2 / 3),
        (["12\n34"], "34\n12", 0.0),
        (["12\n34"], "", 0.0),
    ],
    "sentences": [
        (["One. Two."], "One.Two.", 1.0),
        (["One. Two."], "One. Too.", 0.5),
        (["One."], "One. Two. Three.", 1 / 3),
        (["One."], "", 0.0),
    ],
    "symbols": [
        (["row 12"], "Row 12", 2 / 3),
        (["row 12"], "row: 1-2", 1.0),
        (["row 12"], "row 12 34", 3 / 5),
        (["row"], "", 0.0),
        (["%"], "", 0.0),
        (["%"], "!!", 0.0),
        (["%"], "% ", 1.0),
        (["\u00e9t\u00e9"], "e\u0301te\u0301", 1.0),
    ],
}
"""Right answers, a given one, and its score."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers two metrics."""
    offered = [
        EntryPoint(name, f"tests.studies.tasks.installed:{name}", metrics.group)
        for name in ("initial", "too_large")
    ]
    monkeypatch.setattr(
        registry_module,
        "entry_points",
        lambda group: [entry for entry in offered if entry.group == group],
    )


def asked(folder: Path, metric: str, answers: list[str]) -> QuestionFile:
    """A file of one question."""
    Image.new("RGB", (8, 8)).save(folder / "0.png")
    line = {"image": "0.png", "question": "What?", "answers": answers}
    (folder / "questions.jsonl").write_text(json.dumps(line))
    return QuestionFile(name="mine", file=folder / "questions.jsonl", metric=metric, **LENGTHS)


@pytest.mark.parametrize(
    ("metric", "answers", "text", "score"),
    [(name, *example) for name, examples in EXAMPLES.items() for example in examples],
)
def test_by_hand(tmp_path: Path, metric: str, answers: list[str], text: str, score: float) -> None:
    found = asked(tmp_path, metric, answers).samples([0])[0].score(text)
    assert found.score == pytest.approx(score)
    assert (found.exact, found.rows, found.symbols) == (score == 1.0, found.score, found.score)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_examples_and_says_what_it_measures(name: str) -> None:
    metric = metrics.make(name)
    assert metric.name == name and metric.measures.endswith(".")
    scores = [metric.score(text, answers) for answers, text, _ in EXAMPLES[name]]
    assert metric.range == (min(scores), max(scores)), "the examples reach both ends"
    assert metric.score("B", ["B"]) == metric.range[1]


def test_unknown_metrics_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric 'bleu'; known: anls, choice, cont"):
        metrics.make("bleu")
    with pytest.raises(ValidationError, match="unknown metric 'bleu'; known: anls, choice"):
        asked(tmp_path, "bleu", ["A"])


def test_ours_cannot_be_replaced() -> None:
    with pytest.raises(ValueError, match="a metric named 'exact' is already registered"):
        metrics.register("exact", lambda: METRICS["anls"])


@pytest.mark.usefixtures("installed")
def test_a_package_offers_a_metric(tmp_path: Path) -> None:
    assert "initial" in metrics and isinstance(metrics.make("initial"), Metric)
    (question,) = asked(tmp_path, "initial", ["red", "rose"]).samples([0])
    right, wrong = question.score("ruby"), question.score("blue")
    assert (right.score, right.exact, wrong.score, wrong.exact) == (100.0, 1.0, 0.0, 0.0)


@pytest.mark.usefixtures("installed")
def test_a_value_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="'too_large' gave 2.0 for 'x'; its range is 0.0 to 1.0"):
        asked(tmp_path, "too_large", ["A"]).samples([0])[0].score("x")


@pytest.mark.parametrize("name", [name for name in METRICS if name != "choice"])
@given(text=st.text().filter(str.strip))
def test_the_right_answer_itself_is_right(name: str, text: str) -> None:
    metric = metrics.make(name)
    assert metric.score(text, [text]) == metric.range[1]


@pytest.mark.parametrize("name", [name for name in METRICS if name != "choice"])
@given(text=st.text(alphabet=".,;:!?%-() ", min_size=1).filter(str.strip))
def test_no_answer_is_right_whatever_is_said(name: str, text: str) -> None:
    """A right answer of punctuation alone is not found in a text without any."""
    assert METRICS[name].score("word", [text]) == 0.0
    assert METRICS[name].score("", [text]) == 0.0


@pytest.mark.parametrize("wanted", ["I", "J", "i", "42", "A, C", "AB", "B. Paris", ".", "\u0410"])
def test_what_choice_could_never_find_is_refused(wanted: str) -> None:
    message = "choice knows the letters A to H alone; give one of them, or use the metric exact"
    with pytest.raises(StudyError, match=f"{re.escape(repr(wanted))}.*{message}"):
        metrics.make("choice").score(wanted, [wanted])
    with pytest.raises(StudyError, match=message):
        metrics.make("choice").score("A", ["A", wanted])


def test_answers_are_a_list() -> None:
    for answers in ("Yes", [], ()):
        with pytest.raises(StudyError, match="give a list of one right answer or more"):
            metrics.make("exact").score("Yes", answers)


def test_edits() -> None:
    assert [edits(*pair) for pair in (("", "abc"), ("kitten", "sitting"), ("a", "a"))] == [3, 3, 0]
