"""Names that nobody knows: what they may have meant, and what there is."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.6
"""Least likeness of two names that may be the same, misspelt."""
PART = 0.7
"""Least likeness of a name and a part of it."""
SHORTEST, LONGEST = 3, 80
"""Letters that a part of a name must have to stand for all of it; letters that are looked at."""


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that a wrong one most likely means; None if nothing is near it.

    Capitals, blanks, dashes, dots and underscores make no difference, nor does the order of words,
    nor what stands before the last slash; a name may be cut short.
    """
    if not isinstance(name, str) or not name.strip():
        return None
    found = [(_likeness(name[:LONGEST], one), one) for one in known]
    likeness, best = max(found, key=lambda pair: pair[0], default=(0.0, ""))
    return best if likeness >= CLOSE else None


def _likeness(given: str, known: str) -> float:
    """From 0 to 1; 1 for the same."""
    return _words_alike(given.rstrip("/").rpartition("/")[2], known.rpartition("/")[2])


def _words_alike(given: str, known: str) -> float:
    a, b = _words(given), _words(known)
    likeness = max(_ratio("".join(a), "".join(b)), _ratio("".join(sorted(a)), "".join(sorted(b))))
    short, long = sorted(("".join(a), "".join(b)), key=len)
    if len(short) >= SHORTEST and short in long:
        return PART + (1 - PART) * likeness
    return likeness


def _ratio(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.split(r"[\s_.\-]+", name) if word]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``did you mean after_share? `` with a blank at its end; "" if nothing is near."""
    near = closest(name, known)
    return "" if near is None else f"did you mean {near}? "


def unknown_name(what: str, name: object, known: Iterable[str], listed: str = "known") -> str:
    """What to say of a name that is not known: it, what it may mean, and all there are.

    Parameters
    ----------
    what : str
        Word for what it should name: "policy", "task", ...
    name : object
        As given.
    known : iterable of str
    listed : str
        What is said before the list.
    """
    names = list(known)
    near = did_you_mean(name, names)
    return f"unknown {what} {name!r}; {near}{listed}: {', '.join(names) or 'none'}"


def not_allowed(option: str, value: object, allowed: Iterable[object]) -> str:
    """What to say of an option whose value is not one of those allowed."""
    values = list(allowed)
    near = did_you_mean(value, [one for one in values if isinstance(one, str)])
    return f"{option}={value!r}; {near}allowed: {', '.join(map(repr, values))}"
