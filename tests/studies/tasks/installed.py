"""A task and a metric as another package would offer them, with nothing of ours but the words."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from saccade.studies.tasks import Metric, Score, Split

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class ColourQuestion:
    index: int
    seed: int = 0
    split: str = "heldout"
    question: str = "Which colour is it?"

    @property
    def answer(self) -> str:
        return COLOURS[self.index]

    @property
    def images(self) -> list[Image.Image]:
        return [Image.new("RGB", (96, 96), self.answer)]

    def score(self, text: str) -> Score:
        return Score.of(float(self.answer in text))


class Colours:
    """Three questions about plain pictures."""

    name, gen_length, block_length, steps, n_samples = "colours", 4, 4, 2, 3

    def samples(
        self, indices: Sequence[int], seed: int = 0, split: Split = "heldout"
    ) -> list[ColourQuestion]:
        return [ColourQuestion(index, seed, split) for index in indices]


def initial() -> Metric:
    """Whether the first letter is right, in percent."""
    return Metric("initial", "Whether the first letter is right.", (0.0, 100.0), _initial)


def _initial(text: str, wanted: str) -> float:
    return 100.0 * (text[:1] == wanted[:1])


def too_large() -> Metric:
    """A metric that leaves its range."""
    return Metric("too_large", "Nothing.", (0.0, 1.0), lambda text, wanted: 2.0)
