"""A task of made-up pages for the tiny model: answers of a few bytes, scored in some way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from saccade.backbones import Model
from tests.tiny import fake_page, tiny_model

SETTINGS = {"gen_length": 8, "block_length": 8, "steps": 4}


@dataclass(frozen=True)
class Points:
    score: float


@dataclass(frozen=True)
class PageSample:
    index: int
    seed: int
    page: int

    @property
    def question(self) -> str:
        return f"What is it, {self.index}?"

    @property
    def images(self) -> list[Image.Image]:
        return [fake_page(seed=self.page)]

    @property
    def answer(self) -> str:
        return "yes"

    def score(self, text: str) -> Points:
        """Share of its bytes that are even: a metric that a setting may well change."""
        data = text.encode()
        return Points(sum(byte % 2 == 0 for byte in data) / max(len(data), 1))


@dataclass(frozen=True)
class PageTask:
    """With `n_samples`, so many; `shared` questions in a row are about one page."""

    n_samples: int | None = None
    shared: int = 1
    name: str = "pages"
    gen_length: int = 8
    block_length: int = 8
    steps: int = 4

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: str = "heldout"
    ) -> list[PageSample]:
        return [PageSample(i, seed, i // self.shared) for i in indices]


@cache
def word_model() -> Model:
    return tiny_model(tokenizer=True)
