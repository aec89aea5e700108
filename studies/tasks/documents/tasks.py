"""The five task kinds asked about a page, their answers, generation settings and metrics.

They mirror the regimes of the benchmarks on which dMLLMs are published: one word (``yesno``,
``digit``), a short string (``code``), a long exact one (``transcribe``), a verbose one
(``describe``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from saccade.studies.tasks.documents.digits import Split, glyph_bank
from saccade.studies.tasks.documents.page import N_ROWS, Page, draw_page


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of question with its published generation settings.

    Attributes
    ----------
    name : str
    gen_length, block_length, steps : int
        Settings of ``generate`` (tokens, tokens, denoising steps).
    ask : callable
        ``ask(page, rng) -> (question, answer)``.
    unit : str
        What the score counts: "answer" (exact match) or "row" (share of rows right).
    """

    name: str
    gen_length: int
    block_length: int
    steps: int
    ask: Callable[[Page, np.random.Generator], tuple[str, str]]
    unit: str = "answer"


@dataclass(frozen=True, slots=True)
class Sample:
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


KINDS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        TaskKind("yesno", 2, 2, 2, _ask_yesno),
        TaskKind("digit", 2, 2, 2, _ask_digit),
        TaskKind("code", 16, 16, 8, _ask_code),
        TaskKind("transcribe", 32, 32, 16, _ask_transcribe, unit="row"),
        TaskKind("describe", 64, 64, 32, _ask_describe, unit="row"),
    )
}
_SPLIT_IDS: dict[Split, int] = {"train": 0, "heldout": 1}


def make_sample(kind: str, index: int, *, split: Split = "heldout", seed: int = 0) -> Sample:
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
        raise ValueError(f"unknown task kind {kind!r}; known kinds: {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, _SPLIT_IDS[split], list(KINDS).index(kind), index])
    bank = glyph_bank(split, variants=24 if split == "train" else 0)
    page = draw_page(bank, rng)
    question, answer = KINDS[kind].ask(page, rng)
    return Sample(index, kind, page, question, answer)
