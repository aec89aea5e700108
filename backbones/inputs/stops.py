"""Where an answer ends: before token ids, or before a text, however its tokens fall."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SEARCHES = ("text", "ids")
"""How stops that are given as text are found: in the decoded answer, or, as in published code, by
the ids that the text has on its own."""

Decode = Callable[[Sequence[int]], str]
"""From token ids to text."""


class Ending(NamedTuple):
    """Where a stop begins; the earlier one is the smaller.

    Attributes
    ----------
    at : int
        Number of the token in which it begins: the answer is what is before that.
    within : int
        Characters of that token before the stop.
    rest : str
        Those characters.
    """

    at: int
    within: int = 0
    rest: str = ""


@dataclass(frozen=True, slots=True)
class TextStop:
    """A text before which an answer ends, wherever tokens begin and end.

    Attributes
    ----------
    text : str
    decode : callable
        From token ids to the text that is searched.
    token : int or None
        The one token that alone can mean this text, such as the end of turn.
    named : bool
        Whether the text names special tokens, and may so reach across those that end an answer.
    """

    text: str
    decode: Decode
    token: int | None = None
    named: bool = False

    def find(self, ids: Sequence[int], apart: Collection[int] = ()) -> Ending | None:
        """Where the text first occurs, or None; never across a token of `apart`."""
        if self.token is not None:
            return Ending(ids.index(self.token)) if self.token in ids else None
        for start, run in _runs(ids, apart):
            found = self._find(run)
            if found is not None:
                return found._replace(at=start + found.at)
        return None

    def _find(self, run: Sequence[int]) -> Ending | None:
        whole = self.decode(run)
        at = whole.find(self.text)
        if at < 0:
            return None
        # A character may lie in several tokens, and some of them alone are no text: then what they
        # decode to is not how the whole begins.
        for n in range(len(run) - 1, 0, -1):
            before = self.decode(run[:n])
            if len(before) <= at and whole.startswith(before):
                return Ending(n, at - len(before), whole[len(before) : at])
        return Ending(0, at, whole[:at])


AnswerStop = Sequence[int] | TextStop
"""Token ids, or a text, before which an answer ends."""


def find_sequence(ids: Sequence[int], wanted: Sequence[int]) -> int | None:
    """First place where `wanted` occurs in `ids`, or None."""
    n = len(wanted)
    hits = (i for i in range(len(ids) - n + 1) if list(ids[i : i + n]) == list(wanted))
    return next(hits, None) if n else None


def find_stop(
    ids: Sequence[int],
    stop: AnswerStop,
    stops: Sequence[AnswerStop] = (),
    absent: int | None = None,
) -> Ending | None:
    """Where a stop first occurs in `ids`, or None.

    Parameters
    ----------
    ids : sequence of int
    stop : token ids or TextStop
    stops : sequence of them
        All of the answer. What follows a token that ends it is no part of it: a text is not found
        across such a token, unless it names special tokens itself.
    absent : int, optional
        A token that stands for one that is not known yet: a text is never found across it.
    """
    if isinstance(stop, TextStop):
        ends = set[int]() if stop.named else {own for s in stops if (own := _single(s)) is not None}
        return stop.find(ids, ends if absent is None else ends | {absent})
    at = find_sequence(ids, stop)
    return None if at is None else Ending(at)


def _single(stop: AnswerStop) -> int | None:
    """The one token that a stop is, if it is one."""
    if isinstance(stop, TextStop):
        return stop.token
    return stop[0] if len(stop) == 1 else None


def first_stop(ids: Sequence[int], stops: Sequence[AnswerStop]) -> Ending | None:
    """Where the earliest of some stops begins in `ids`, or None."""
    found = (find_stop(ids, stop, stops) for stop in stops)
    return min((ending for ending in found if ending is not None), default=None)


def answer_text(ids: Sequence[int], ending: Ending | None, decode: Decode) -> str:
    """Text of `ids`, to the character at which a stop begins."""
    if ending is None:
        return decode(ids)
    return decode(ids[: ending.at]) + ending.rest


def _runs(ids: Sequence[int], apart: Collection[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Stretches of `ids` without some tokens, each with the place where it begins."""
    start = 0
    for i, token in enumerate(ids):
        if token in apart:
            if i > start:
                yield start, ids[start:i]
            start = i + 1
    if start < len(ids):
        yield start, ids[start:]
