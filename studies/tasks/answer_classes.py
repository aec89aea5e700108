"""Classes of answers, which presets name: how much there is for a schedule to do."""

from typing import Literal, get_args

Class = Literal["short", "long", "free"]
CLASSES: tuple[Class, ...] = get_args(Class)
SHORT = 6
"""Steps below which an answer is short: `auto` leaves such calls alone."""


def answer_class(steps: int) -> Literal["short", "long"]:
    """The class of a task's answers, by the denoising steps that each takes.

    "free", an answer that may be put in many ways, is for people to say: no metric tells it from a
    long one.
    """
    return "short" if steps < SHORT else "long"
