"""What a task of a study is: questions about pictures, lengths of answers, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from PIL import Image

Split = Literal["train", "heldout"]
"""Which samples: those that a model may have been trained on, or those that it never was."""


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of one answer, higher is better; each in [0, 1] unless the task's metric says else.

    Attributes
    ----------
    score : float
        The task's main metric.
    exact : float
        1.0 if the whole answer is right.
    rows : float
        Share of rows right (equal to `score` for answers of one row).
    symbols : float
        A finer view of the same answer, such as the share of its words and digits that are right;
        `score` again where a task has none.
    """

    score: float
    exact: float
    rows: float
    symbols: float

    @classmethod
    def of(cls, value: float, *, best: float = 1.0, symbols: float | None = None) -> Self:
        """From the value of the main metric; an answer is all right where that is `best`."""
        return cls(value, float(value == best), value, value if symbols is None else symbols)


class Sample(Protocol):
    """One question about some pictures, with the right answer.

    Attributes
    ----------
    index : int
        Its number in the task, from 0.
    question : str
    images : sequence of PIL images
    answer : str
        The right one, or one of several, as records show it.
    """

    @property
    def index(self) -> int: ...

    @property
    def question(self) -> str: ...

    @property
    def images(self) -> Sequence[Image.Image]: ...

    @property
    def answer(self) -> str: ...

    def score(self, text: str) -> Score:
        """Score a model's answer."""
        ...


class Task(Protocol):
    """What studies, commands and benches can ask a model.

    Offer your own through the entry-point group ``saccade.tasks``: a function or class that needs
    no arguments and gives one.

    Attributes
    ----------
    name : str
    gen_length, block_length, steps : int
        How an answer is generated, in LLaDA-V's words: response tokens, tokens per block, denoising
        steps over all blocks. Each family of models has its own words for them.
    n_samples : int or None
        How many samples there are; None if there are as many as one asks for.
    """

    @property
    def name(self) -> str: ...

    @property
    def gen_length(self) -> int: ...

    @property
    def block_length(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def n_samples(self) -> int | None: ...

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: Split = "heldout"
    ) -> Sequence[Sample]:
        """The samples of these numbers; the same arguments give the same samples.

        Parameters
        ----------
        indices : sequence of int
            From 0, below `n_samples` if there is such a number.
        seed : int
            Of the whole set, for tasks that draw their samples.
        split : "train" or "heldout"
            For tasks that have both.
        """
        ...
