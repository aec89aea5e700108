"""Steps of an answer as short texts: a page holds many of them. `samples.js` reads them again."""

from collections.abc import Mapping, Sequence
from typing import Any

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NONE = 63
"""The last letter stands for a value that there is not."""
FINEST = 4094
"""Steps between 0 and 1 of a number of two letters."""
REASON = 300
"""Letters of a reason that are kept."""
Plain = Mapping[str, Any]
Number = float | None


def shares(values: Sequence[Number]) -> str:
    """Numbers from 0 to 1, two letters each."""
    letters = []
    for value in values:
        code = FINEST + 1 if value is None else round(FINEST * min(1.0, max(0.0, value)))
        letters += [ALPHABET[code // 64], ALPHABET[code % 64]]
    return "".join(letters)


def levels(values: Sequence[Number]) -> str:
    """Numbers relative to the largest of them, one letter each."""
    largest = max((value for value in values if value is not None), default=0.0)
    scale = (NONE - 1) / largest if largest > 0 else 0.0
    codes = (NONE if value is None else round(scale * max(0.0, value)) for value in values)
    return "".join(ALPHABET[code] for code in codes)


def bits(numbers: Sequence[int], n: int) -> str:
    """Which of the numbers below `n` there are, six to a letter."""
    found = [0] * -(-n // 6)
    for number in numbers:
        found[number // 6] |= 1 << number % 6
    return "".join(ALPHABET[code] for code in found)


def pack_places(places: Sequence[Sequence[float] | None]) -> str:
    """Picture and center of every visual token, five letters each."""
    shown = [p if p is not None and p[0] < NONE else None for p in places]
    return "".join(
        "_" * 5 if place is None else ALPHABET[int(place[0])] + shares(place[1:]) for place in shown
    )


def pack_steps(data: Plain, n_visual: int, stride: int = 1, received: bool = True) -> Plain:
    """The steps of `saccade.studies.reports.trace_page.steps_data`, every `stride`-th and the last.

    Parameters
    ----------
    data : mapping
    n_visual : int
        Visual tokens before any reduction.
    stride : int
        Of the steps that are kept; what was committed in those between comes with the next.
    received : bool
        Whether to keep what each visual token received.
    """
    words: dict[str | None, int] = {}
    steps: Sequence[Plain] = data["steps"]
    kept = sorted({*range(0, len(steps), stride), len(steps) - 1})
    packed, last, tokens = [], -1, list[str | None]()
    before: Plain = {}
    for place in kept:
        own = dict(steps[place])
        own["committed"] = [i for step in steps[last + 1 : place + 1] for i in step["committed"]]
        if not received:
            own["received"] = None
        packed.append({"n": place + 1, **_packed(own, before, tokens, words, n_visual)})
        last, tokens, before = place, own["tokens"], own
    return {
        "layers": data["layers"],
        "positions": data["positions"],
        "full": data["full"],
        "count": len(steps),
        "words": list(words),
        "steps": packed,
    }


def _packed(
    own: Plain, before: Plain, tokens: Sequence[str | None], words: dict[Any, int], n_visual: int
) -> dict[str, Any]:
    """One step; what is as in the step before, or says nothing, is left out."""
    changed = [
        [i, words.setdefault(word, len(words))]
        for i, word in enumerate(own["tokens"])
        if i >= len(tokens) or word != tokens[i]
    ]
    reason = own["reason"] and own["reason"][:REASON]
    values = {
        "kept": None if own["kept"] == before.get("kept") else bits(own["kept"], n_visual),
        "bypass": own["bypass"],
        "reason": words.setdefault(reason, len(words)) if reason else None,
        "cached": None if own["refreshed"] else 1,
        "macs": own["macs"],
        "attention": _attention(own["attention"]),
        "received": None if own["received"] is None else levels(own["received"]),
        "confidence": None if own["confidence"] is None else shares(own["confidence"]),
        "committed": own["committed"],
        "tokens": changed,
    }
    return {name: value for name, value in values.items() if value not in (None, [])}


def _attention(kinds: Sequence[Sequence[Number] | None]) -> list[str | None] | None:
    """Masses on picture, prompt and answer; None where nothing was measured."""
    found = [None if masses is None else shares(masses) for masses in kinds]
    return found if any(found) else None
