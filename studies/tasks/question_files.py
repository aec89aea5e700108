"""Benchmarks of the user's own: a file of questions about pictures, as a task of a study."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from saccade.controller.errors import StudyError
from saccade.studies.tasks.documents.scoring import Score

Metric = Literal["exact", "contains", "relaxed", "anls", "choice"]


class Benchmark(BaseModel):
    """A task whose questions come from a file.

    Attributes
    ----------
    name : str
        As a study's `tasks` name it.
    file : Path
        JSON lines, each with "image" (a path relative to the file, or several), "question", and
        "answers" (a list) or "answer".
    gen_length, block_length, steps : int
        Settings of `generate`, in LLaDA-V's words.
    metric : str
        "exact": the answer is one of those given, but for case, blanks and a full stop. "contains":
        one of those given is in it. "relaxed": ChartQA's: a number may be 5 % off. "anls":
        DocVQA's: similarity by edits, 0 below one half. "choice": the first letter A to H that
        stands alone is the right one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    file: Path
    gen_length: int = Field(ge=1, strict=True)
    block_length: int = Field(ge=1, strict=True)
    steps: int = Field(ge=1, strict=True)
    metric: Metric = "exact"

    def items(self) -> "tuple[Item, ...]":
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
        return _items(text, self.file, self.metric)


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    Attributes
    ----------
    index : int
    question : str
    paths : tuple of Path
        Of its pictures.
    answers : tuple of str
        Right ones.
    metric : str
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
        value = max(_METRICS[self.metric](text, wanted) for wanted in self.answers)
        return Score(value, float(value == 1.0), value, value)


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise StudyError(f"the picture {path} cannot be read: {error}") from error


@lru_cache(maxsize=8)
def _items(text: str, file: Path, metric: Metric) -> tuple[Item, ...]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise StudyError(f"{file} has no line; give one JSON object a line")
    return tuple(_item(i, n, line, file, metric) for i, (n, line) in enumerate(lines))


def _item(index: int, number: int, line: str, file: Path, metric: Metric) -> Item:
    where = f"{file}, line {number}"
    try:
        given = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where} is no JSON: {error}") from error
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
    return Item(index, given["question"], paths, tuple(answers), metric)


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".").strip()


def _exact(text: str, wanted: str) -> float:
    return float(_plain(text) == _plain(wanted))


def _contains(text: str, wanted: str) -> float:
    return float(_plain(wanted) in _plain(text))


def _relaxed(text: str, wanted: str) -> float:
    given, right = _number(text), _number(wanted)
    if given is None or right is None:
        return _exact(text, wanted)
    return float(given == right if right == 0 else abs(given - right) <= 0.05 * abs(right))


def _number(text: str) -> float | None:
    plain = _plain(text).replace(",", "").lstrip("$")
    try:
        return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        return None


def _anls(text: str, wanted: str) -> float:
    given, right = _plain(text), _plain(wanted)
    longest = max(len(given), len(right))
    similarity = 1 - edits(given, right) / longest if longest else 1.0
    return similarity if similarity >= 0.5 else 0.0


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance: insertions, deletions and replacements from one to the other."""
    row = list(range(len(b) + 1))
    for i, own in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (own != other))
    return row[-1]


def _choice(text: str, wanted: str) -> float:
    found = re.search(r"(?<![A-Za-z])[A-H](?![A-Za-z])", text)
    return float(found is not None and found.group() == wanted.strip().strip("().").upper())


_METRICS: dict[Metric, Callable[[str, str], float]] = {
    "exact": _exact,
    "contains": _contains,
    "relaxed": _relaxed,
    "anls": _anls,
    "choice": _choice,
}
