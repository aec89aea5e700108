"""The words of the documents: 64 four-digit codes of two syllables."""

import random


def make_lexicon(n_syllables: int = 8, seed: int = 2511) -> tuple[str, ...]:
    """Make all codes of two syllables, sorted.

    A syllable is a pair of digits; no two share a first or a second digit, so that each digit of a
    syllable tells the other. Real words are redundant in the same way: a reader who missed a letter
    can restore it from its neighbours.

    Parameters
    ----------
    n_syllables : int
        1 to 10; there are its square of codes.
    seed : int
        Seed of the draw.

    Raises
    ------
    ValueError
        If `n_syllables` is outside its range.
    """
    if not 1 <= n_syllables <= 10:
        raise ValueError(f"n_syllables={n_syllables}: give 1 to 10, one per digit")
    draw = random.Random(seed)
    firsts, seconds = (draw.sample("0123456789", n_syllables) for _ in range(2))
    syllables = [a + b for a, b in zip(firsts, seconds, strict=True)]
    return tuple(sorted(first + second for first in syllables for second in syllables))


CODES = make_lexicon()
"""The lexicon every document and every embedded model uses."""
