"""The five task kinds asked about a page, their answers, generation settings and metrics.

They mirror the regimes of the benchmarks on which dMLLMs are published: one word (``yesno``,
``digit``), a short string (``code``), a long exact one (``transcribe``), a verbose one
(``describe``).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from PIL import Image

from saccade.controller.names import unknown_name
from saccade.studies.tasks.documents.digits import glyph_bank
from saccade.studies.tasks.documents.page import N_ROWS, Page, draw_page
from saccade.studies.tasks.metrics import metrics
from saccade.studies.tasks.registry import tasks
from saccade.studies.tasks.task import Score, Split


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """A kind of question about pages, with its published generation settings.

    Attributes
    ----------
    name : str
    gen_length, block_length, steps : int
        Settings of ``generate`` (tokens, tokens, denoising steps).
    ask : callable
        ``ask(page, rng) -> (question, answer)``.
    metric : str
        Name of its main metric; the finer one is "symbols".
    """

    n_samples: ClassVar[int | None] = None
    """Pages are drawn: there are as many as one asks for."""

    name: str
    gen_length: int
    block_length: int
    steps: int
    ask: Callable[[Page, np.random.Generator], tuple[str, str]]
    metric: str = "verbatim"

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: Split = "heldout"
    ) -> "list[PageQuestion]":
        """The samples of these numbers, see `make_sample`."""
        return [make_sample(self.name, index, split=split, seed=seed) for index in indices]


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """One question about one page, with the right answer."""

    index: int
    kind: str
    page: Page
    question: str
    answer: str

    @property
    def images(self) -> list[Image.Image]:
        """The page, as a list of pictures."""
        return [self.page.image]

    def score(self, text: str) -> Score:
        """Score a model's `text`. Rows and symbols are compared place by place."""
        main, finer = (metrics.make(name) for name in (KINDS[self.kind].metric, "symbols"))
        wanted = (self.answer,)
        return Score.of(main.score(text, wanted), symbols=finer.score(text, wanted))


def _ask_yesno(page: Page, rng: np.random.Generator) -> tuple[str, str]:
    row, place = int(rng.integers(N_ROWS)), int(rng.integers(4))
    odd = int(page.codes[row][place]) % 2 == 1
    return f"Is digit {place + 1} of row {row + 1} odd?", "Yes" if odd else "No"


def _ask_digit(page: Page, rng: np.random.Generator) -> tuple[str, str]:
    row, place = int(rng.integers(N_ROWS)), int(rng.integers(4))
    return f"What is digit {place + 1} of row {row + 1}?", page.codes[row][place]


def _ask_code(page: Page, rng: np.random.Generator) -> tuple[str, str]:
    row = int(rng.integers(N_ROWS))
    return f"Which code is in row {row + 1}?", f"The code in row {row + 1} reads {page.codes[row]}."


def _ask_transcribe(page: Page, _rng: np.random.Generator) -> tuple[str, str]:
    return "Transcribe the page.", "\n".join(page.codes)


def _ask_describe(page: Page, _rng: np.random.Generator) -> tuple[str, str]:
    rows = zip(page.sides, page.codes, strict=True)
    text = " ".join(f"Row {i + 1} at {side} reads {code}." for i, (side, code) in enumerate(rows))
    return "Describe the page in detail.", text


KINDS: dict[str, DocumentTask] = {
    kind.name: kind
    for kind in (
        DocumentTask("yesno", 2, 2, 2, _ask_yesno),
        DocumentTask("digit", 2, 2, 2, _ask_digit),
        DocumentTask("code", 16, 16, 8, _ask_code),
        DocumentTask("transcribe", 32, 32, 16, _ask_transcribe, metric="lines"),
        DocumentTask("describe", 64, 64, 32, _ask_describe, metric="sentences"),
    )
}
for _name in KINDS:
    tasks.register(_name, partial(KINDS.__getitem__, _name))
_SPLIT_IDS: dict[Split, int] = {"train": 0, "heldout": 1}


EXAMPLES = {
    "yesno": "Is digit 2 of row 3 odd?",
    "digit": "What is digit 2 of row 3?",
    "code": "Which code is in row 3?",
    "transcribe": "Transcribe the page.",
    "describe": "Describe the page in detail.",
}
"""A question of each kind; others of the kind ask about other rows and digits."""


def kind_of(question: str) -> str | None:
    """The kind of a question about a page, None for one that is none of `KINDS`."""
    for kind, example in EXAMPLES.items():
        form = re.escape(example).replace("row\\ 3", f"row\\ [1-{N_ROWS}]")
        if re.fullmatch(form.replace("digit\\ 2", "digit\\ [1-4]"), question):
            return kind
    return None


def make_sample(kind: str, index: int, *, split: Split = "heldout", seed: int = 0) -> PageQuestion:
    """Make sample number `index` of a task kind; the same arguments give the same sample.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    index : int
        Number of the sample, 0 or more.
    split : "train" or "heldout"
        Whose handwriting is used. Training samples draw from varied copies of the glyphs.
    seed : int
        Seed of the whole set.

    Raises
    ------
    ValueError
        If `kind` is unknown.
    """
    if kind not in KINDS:
        raise ValueError(unknown_name("task kind", kind, KINDS, "known kinds"))
    rng = np.random.default_rng([seed, _SPLIT_IDS[split], list(KINDS).index(kind), index])
    bank = glyph_bank(split, variants=24 if split == "train" else 0)
    page = draw_page(bank, rng)
    question, answer = KINDS[kind].ask(page, rng)
    return PageQuestion(index, kind, page, question, answer)
