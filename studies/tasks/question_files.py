"""Files of questions about pictures, as tasks of a study: the `benchmarks` of its YAML."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.tasks.metrics import Metric, metrics
from saccade.studies.tasks.task import Score, Split


class QuestionFile(BaseModel):
    """A task whose questions come from a file.

    Attributes
    ----------
    name : str
        As a study's `tasks` name it.
    file : Path
        JSON lines, each with "image" (a path relative to the file, or several), "question", and
        "answers" (a list) or "answer".
    gen_length, block_length, steps : int
        Settings of `generate`, in LLaDA-V's words; without `block_length` the answer is one block.
    metric : str
        Name of a metric (`saccade.studies.tasks.metrics`): exact, contains, relaxed, anls, choice,
        or another. The score is the best over the right answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    file: Path
    gen_length: int = Field(ge=1, strict=True)
    block_length: int = Field(ge=1, strict=True)
    steps: int = Field(ge=1, strict=True)
    metric: str = "exact"

    @model_validator(mode="before")
    @classmethod
    def _one_block(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("block_length") is None and "gen_length" in given:
            return {**given, "block_length": given["gen_length"]}
        return given

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, value: str) -> str:
        try:
            metrics.factory(value)
        except SaccadeError as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def n_samples(self) -> int:
        """How many questions there are; errors are those of `items`."""
        return len(self.items())

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: Split = "heldout"
    ) -> "list[FileQuestion]":
        """The questions of these numbers. A file holds the same ones for every seed and split."""
        items = self.items()
        return [items[index] for index in indices]

    def items(self) -> "tuple[FileQuestion, ...]":
        """All questions, checked.

        Raises
        ------
        StudyError
            Naming file and line, what was given and what is allowed.
        """
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            where = f"benchmark {self.name!r}: {self.file}"
            raise StudyError(f"{where} cannot be read: {error}") from error
        return _items(text, self.file, metrics.make(self.metric))


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
    """

    index: int
    question: str
    paths: tuple[Path, ...]
    answers: tuple[str, ...]
    metric: Metric

    @property
    def answer(self) -> str:
        """The first of the right answers."""
        return self.answers[0]

    @property
    def images(self) -> list[Image.Image]:
        """Its pictures, read now."""
        return [_picture(path) for path in self.paths]

    def score(self, text: str) -> Score:
        """Score of a model's answer: the best over the right ones."""
        return Score.of(self.metric.score(text, self.answers), best=self.metric.range[1])


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise StudyError(f"the picture {path} cannot be read: {error}") from error


@lru_cache(maxsize=8)
def _items(text: str, file: Path, metric: Metric) -> tuple[FileQuestion, ...]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise StudyError(f"{file} has no line; give one JSON object a line")
    return tuple(_item(i, n, line, file, metric) for i, (n, line) in enumerate(lines))


def _item(index: int, number: int, line: str, file: Path, metric: Metric) -> FileQuestion:
    where = f"{file}, line {number}"
    try:
        given = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where} is not JSON: {error}") from error
    keys = set(given) if isinstance(given, dict) else set()
    if not {"image", "question"} <= keys or not keys & {"answer", "answers"}:
        raise StudyError(f"{where} has {sorted(keys)}; give image, question, and answers or answer")
    images = given["image"] if isinstance(given["image"], list) else [given["image"]]
    answers = given["answers"] if "answers" in given else [given["answer"]]
    questions = [given["question"]]
    for name, values in (("image", images), ("answers", answers), ("question", questions)):
        if not values or not all(isinstance(v, str) and v.strip() for v in values):
            raise StudyError(f"{where}: {name}={values!r}; give texts that are not empty")
    paths = tuple(file.parent / path for path in images)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise StudyError(f"{where}: there is no picture at {missing[0]}")
    return FileQuestion(index, given["question"], paths, tuple(answers), metric)
