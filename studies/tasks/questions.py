"""Questions about pictures from JSON lines, every line checked before one is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from saccade.backbones.inputs.chat import check_placeholders, check_unicode
from saccade.backbones.inputs.picture_files import open_file
from saccade.backbones.inputs.reading import read_picture
from saccade.controller.errors import StudyError
from saccade.studies.tasks.json_lines import numbered_lines, parse_line
from saccade.studies.tasks.metrics import Metric
from saccade.studies.tasks.task import Score

MOST = 5
"""Wrong lines that an error tells of."""
LONGEST = 200
"""Letters of a value that an error shows."""


@dataclass(frozen=True, slots=True)
class FileQuestion:
    """One question of a file.

    Attributes
    ----------
    index : int
    question : str
    paths : tuple of Path
        Of its pictures.
    answers : tuple of str
        Right ones.
    metric : Metric
    line : int
        Of its file, from 1.
    """

    index: int
    question: str
    paths: tuple[Path, ...]
    answers: tuple[str, ...]
    metric: Metric
    line: int

    @property
    def answer(self) -> str:
        """The first of the right answers; "" where nobody knows one."""
        return self.answers[0] if self.answers else ""

    @property
    def images(self) -> list[Image.Image]:
        """Its pictures, read now."""
        try:
            return [read_picture(path) for path in self.paths]
        except (OSError, ValueError) as error:
            raise StudyError(f"line {self.line}: {error}") from error

    def score(self, text: str) -> Score:
        """Score of a model's answer: the best over the right ones."""
        return Score.of(self.metric.score(text, self.answers), best=self.metric.range[1])


@lru_cache(maxsize=8)
def read_questions(
    data: bytes, file: Path, metric: Metric, labels: bool = True
) -> tuple[FileQuestion, ...]:
    """All questions of a file's content; without `labels`, their right answers are not read.

    Raises
    ------
    StudyError
        Naming the file and its wrong lines, up to `MOST` of them.
    """
    lines = numbered_lines(data, str(file))
    if not lines:
        raise StudyError(f"{file} has no line; give one JSON object a line")
    questions, problems = [], []
    for index, (number, line) in enumerate(lines):
        try:
            questions.append(_question(index, number, line, file.parent, metric, labels))
        except ValueError as error:
            problems.append(f"line {number}{error}")
    if problems:
        raise StudyError(in_short(file, problems))
    return tuple(questions)


def in_short(file: Path, problems: Sequence[str]) -> str:
    """One message about the wrong lines of a file."""
    more = len(problems) - MOST
    rest = [f"and {more} more"] if more > 0 else []
    return f"{file}, {'; '.join([*problems[:MOST], *rest])}"


def _question(
    index: int, number: int, line: bytes, folder: Path, metric: Metric, labels: bool
) -> FileQuestion:
    """The question of one line; `ValueError` with what follows the line's number if it is wrong."""
    try:
        given = parse_line(line)
    except ValueError as error:
        raise ValueError(f" is not JSON: {error}") from error
    question, images, answers = _fields(given, labels)
    try:
        check_placeholders(question, len(images))
        for wanted in answers:
            if (problem := metric.problem(wanted)) is not None:
                raise ValueError(f"the right answer {_shown(wanted)}: {problem}")
    except ValueError as error:
        raise ValueError(f": {error}") from error
    paths = tuple(folder / path for path in images)
    for path in paths:
        _check_picture(path)
    return FileQuestion(index, question, paths, tuple(answers), metric, number)


def _fields(given: Any, labels: bool) -> tuple[str, list[str], list[str]]:
    """Question, pictures and right answers of a line: texts that say something."""
    keys = set(given) if isinstance(given, dict) else set()
    answered = bool(keys & {"answer", "answers"}) or not labels
    if not {"image", "question"} <= keys or not answered:
        wanted = "image, question, and answers or answer" if labels else "image and question"
        raise ValueError(f" has {sorted(map(str, keys))}; give {wanted}")
    images = given["image"] if isinstance(given["image"], list) else [given["image"]]
    answers: Any = []
    named = {"image": images, "question": [given["question"]]}
    if labels:
        answers = given["answers"] if "answers" in given else [given["answer"]]
        named["answers"] = answers
    for name, values in named.items():
        texts = isinstance(values, list) and all(isinstance(v, str) and v.strip() for v in values)
        if not values or not texts:
            raise ValueError(f": {name}={_shown(values)}; give texts that are not empty")
        for text in values:
            _check_unicode(text, name)
    return given["question"], images, answers


def _check_unicode(text: str, name: str) -> None:
    try:
        check_unicode(text, f"{name}={_shown(text)}")
    except ValueError as error:
        raise ValueError(f": {error}") from error


def _shown(value: object) -> str:
    """A value as an error shows it: not too long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _check_picture(path: Path) -> None:
    """Raise `ValueError` unless a file says that it is a picture; it is not decoded."""
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise ValueError(f": there is no picture at {path}")
    try:
        open_file(path, whole=False).close()
    except (OSError, ValueError) as error:
        raise ValueError(f": {error}") from error
