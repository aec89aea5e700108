"""Files of questions about pictures, as tasks of a study: the `benchmarks` of its YAML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saccade.backbones.inputs.reading import read_picture
from saccade.controller.errors import SaccadeError, StudyError
from saccade.studies.tasks.metrics import metrics
from saccade.studies.tasks.questions import FileQuestion, in_short, read_questions
from saccade.studies.tasks.task import Split


class QuestionFile(BaseModel):
    """A task whose questions come from a file.

    Attributes
    ----------
    name : str
        As a study's `tasks` name it.
    file : Path
        JSON lines in UTF-8, each with "image" (a path relative to the file, or several),
        "question", and "answers" (a list) or "answer".
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
    ) -> list[FileQuestion]:
        """The questions of these numbers. A file holds the same ones for every seed and split."""
        items = self.items()
        return [items[index] for index in indices]

    def items(self) -> tuple[FileQuestion, ...]:
        """All questions, checked.

        Raises
        ------
        StudyError
            Naming file and lines, what was given and what is allowed.
        """
        try:
            data = self.file.read_bytes()
        except OSError as error:
            where = f"benchmark {self.name!r}: {self.file}"
            raise StudyError(f"{where} cannot be read: {error}") from error
        return read_questions(data, self.file, metrics.make(self.metric))

    def check_pictures(self, asked: int) -> None:
        """Decode the pictures of the first `asked` questions, so that a damaged one is known before
        the first of them is asked; `items` has seen that all are pictures.

        Raises
        ------
        StudyError
            Naming file and lines.
        """
        problems: dict[Path, str | None] = {}
        wrong = []
        for item in self.items()[:asked]:
            for path in item.paths:
                if path not in problems:
                    problems[path] = _problem(path)
                if problems[path] is not None:
                    wrong.append(f"line {item.line}: {problems[path]}")
        if wrong:
            raise StudyError(in_short(self.file, wrong))


def _problem(path: Path) -> str | None:
    """Why a picture cannot be used; None if it can."""
    try:
        read_picture(path)
    except (OSError, ValueError) as error:
        return str(error)
    return None
