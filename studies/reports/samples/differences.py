"""Which words of two answers differ."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

LONGEST = 2000
"""Letters of a text that are shown."""
MOST = 200_000
"""Words of one answer times those of the other beyond which the middle differs as a whole."""
Parts = list[str]
"""Pieces of a text, in turn as in the other text and not in it; the first may be empty."""


def clipped(text: str, longest: int = LONGEST) -> str:
    """A text, cut where it is too long to be shown."""
    over = len(text) - longest
    return text if over <= 0 else f"{text[:longest]} … ({over:,} more letters)"


def marked(a: str, b: str) -> tuple[Parts, Parts]:
    """Both texts in pieces: the first and every second one after it are in both.

    Words, marks and spaces are compared as wholes. The pieces of a text, joined, are the text.
    """
    words, others = _words(a), _words(b)
    parts: tuple[Parts, Parts] = [""], [""]
    for same, own, other in _runs(words, others):
        for pieces, run in zip(parts, ("".join(own), "".join(other)), strict=True):
            _add(pieces, run, same)
    return parts


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _runs(a: Sequence[str], b: Sequence[str]) -> list[tuple[bool, Sequence[str], Sequence[str]]]:
    """Runs of words that both have, and those between."""
    start, least = 0, min(len(a), len(b))
    while start < least and a[start] == b[start]:
        start += 1
    end = 0
    while end < least - start and a[-1 - end] == b[-1 - end]:
        end += 1
    own, other = a[start : len(a) - end], b[start : len(b) - end]
    middle = [(False, own, other)]
    if 0 < len(own) * len(other) <= MOST:
        codes = SequenceMatcher(None, own, other, autojunk=False).get_opcodes()
        middle = [(tag == "equal", own[i:j], other[k:m]) for tag, i, j, k, m in codes]
    return [(True, a[:start], b[:start]), *middle, (True, a[len(a) - end :], b[len(b) - end :])]


def _add(pieces: Parts, run: str, same: bool) -> None:
    """Go on with a run; pieces of one sort are joined."""
    if not run:
        return
    if (len(pieces) % 2 == 1) == same:
        pieces[-1] += run
    else:
        pieces.append(run)
