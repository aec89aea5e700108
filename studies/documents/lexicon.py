"""The words of the documents: 64 four-digit codes."""

import random


def _codewords() -> list[str]:
    """Codes ``(a, b, a+b, a+2b) mod 11`` of four digits: any two differ in three places."""
    words = []
    for a in range(10):
        for b in range(10):
            symbols = (a, b, (a + b) % 11, (a + 2 * b) % 11)
            if max(symbols) < 10:
                words.append("".join(map(str, symbols)))
    return words


def make_lexicon(size: int = 64, seed: int = 2511) -> tuple[str, ...]:
    """Draw a sorted lexicon in which any two codes differ in at least three of four digits.

    Real words are redundant: a reader who missed a letter can restore it from the others. Codes of
    an error-correcting family have the same property in its plainest form.

    Parameters
    ----------
    size : int
        Number of codes, 1 to 81 (the number of codewords the family has).
    seed : int
        Seed of the draw.

    Raises
    ------
    ValueError
        If `size` is outside its range.
    """
    words = _codewords()
    if not 1 <= size <= len(words):
        raise ValueError(f"size={size}: the family has {len(words)} codes; give 1 to {len(words)}")
    return tuple(sorted(random.Random(seed).sample(words, size)))


CODES = make_lexicon()
"""The lexicon every document and every embedded model uses."""
