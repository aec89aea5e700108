"""The model and tasks that traces are collected with, made in any process from plain names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saccade.backbones import Model
    from saccade.studies.tasks import Task


@dataclass(frozen=True, slots=True)
class TraceSource:
    """Names, from which a process makes a model and tasks when it is called.

    Attributes
    ----------
    model : str
    tasks : tuple of str
        Of the registry.
    benchmark : Path or None
        A file of questions, as one more task.
    lengths : (int, int or None, int)
        `gen_length`, `block_length` and `steps` of the benchmark.
    metric : str
        Of the benchmark.
    where : tuple of (str, object)
        Device and dtype, as `saccade.load` takes them.
    label_free : bool
        Whether right answers of the benchmark may be missing, and are not looked at.
    """

    model: str
    tasks: tuple[str, ...]
    benchmark: Path | None = None
    lengths: tuple[int, int | None, int] = (32, None, 16)
    metric: str = "exact"
    where: tuple[tuple[str, Any], ...] = ()
    label_free: bool = False

    def __call__(self) -> "tuple[Model, Sequence[Task]]":
        from saccade.backbones import load

        return load(self.model, **dict(self.where)), self.make_tasks()

    def make_tasks(self) -> "list[Task]":
        """The tasks.

        Raises
        ------
        ValueError
            For an unknown name, listing the known ones; for none at all.
        StudyError
            If the file of questions is wrong.
        """
        from saccade.controller.names import unknown_name
        from saccade.studies.tasks import tasks

        unknown = [name for name in self.tasks if name not in tasks]
        if unknown:
            raise ValueError(unknown_name("--task", unknown[0], tasks))
        found: list[Task] = [tasks.make(name) for name in dict.fromkeys(self.tasks)]
        if self.benchmark is not None:
            found.append(self._questions(self.benchmark))
        if not found:
            raise ValueError("give a --task or a --benchmark to collect traces on")
        return found

    def _questions(self, file: Path) -> "Task":
        from pydantic import ValidationError

        from saccade.studies.tasks.question_files import QuestionFile
        from saccade.studies.tasks.unlabelled import UnlabelledFile

        length, block, steps = self.lengths
        try:
            made = (UnlabelledFile if self.label_free else QuestionFile)(
                name=file.stem,
                file=file,
                gen_length=length,
                block_length=length if block is None else block,
                steps=steps,
                metric=self.metric,
            )
        except ValidationError as error:
            raise ValueError(f"--benchmark {file}: {error}") from error
        made.items()  # so that what is wrong with it is said before a model is loaded
        return made
