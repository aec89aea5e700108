"""Canvas sizes for any-resolution pictures, as configs write them, and the one a picture gets."""

import ast
import re
from collections.abc import Sequence

Pair = tuple[int, int]
_PAIR = r"\(\s*(\d+)\s*x\s*(\d+)\s*\)"
_PAIRS = re.compile(rf"{_PAIR}(?:\s*,\s*(?:\.\.\.|{_PAIR}))*")


def parse_pinpoints(value: str | Sequence[Sequence[int]], tile: int) -> tuple[Pair, ...]:
    """Read the canvas sizes an image may be fitted on.

    Parameters
    ----------
    value : list of pairs, or str
        Pairs of (width, height) in pixels; or a range such as ``"(1x1),...,(6x6)"`` in tiles, of
        which the first and the last pair count: all pairs between them, width slow, height fast. A
        list of pairs may be written as text too.
    tile : int
        Side of a tile in pixels.

    Returns
    -------
    tuple of (width, height) in pixels, in the order given: ties in `best_resolution` depend on it.

    Raises
    ------
    ValueError
        If there is no pair, or a side is not a positive multiple of `tile`.
    TypeError
        If `value` is neither a string nor pairs of integers.
    """
    if tile < 1:
        raise ValueError(f"tile={tile}; must be 1 pixel or more")
    value = _written_list(value) if isinstance(value, str) else value
    pairs = _range_of_pairs(value, tile) if isinstance(value, str) else _list_of_pairs(value)
    if not pairs:
        raise ValueError(f"no canvas size in {value!r}; give at least one (width, height) pair")
    for pair in pairs:
        if min(pair) < tile or pair[0] % tile or pair[1] % tile:
            raise ValueError(f"canvas size {pair}: sides must be positive multiples of tile={tile}")
    return pairs


def _written_list(text: str) -> str | Sequence[Sequence[int]]:
    """The list that a text such as ``"[(384, 768), (768, 384)]"`` writes; another text as it is."""
    try:
        found = ast.literal_eval(text.strip()) if text.lstrip().startswith("[") else text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return found if isinstance(found, list) else text


def _range_of_pairs(text: str, tile: int) -> tuple[Pair, ...]:
    if not _PAIRS.fullmatch(text.strip()):
        raise ValueError(f"pinpoints {text!r} not understood; write '(1x1),...,(6x6)' or a list")
    found = [(int(w), int(h)) for w, h in re.findall(_PAIR, text)]
    (w_min, h_min), (w_max, h_max) = found[0], found[-1]
    return tuple(
        (w * tile, h * tile) for w in range(w_min, w_max + 1) for h in range(h_min, h_max + 1)
    )


def _list_of_pairs(value: Sequence[Sequence[int]]) -> tuple[Pair, ...]:
    message = f"pinpoints {value!r}; must be (width, height) pairs of integers, or a string"
    pairs = []
    try:
        for width, height in value:
            if type(width) is not int or type(height) is not int:
                raise TypeError(message)
            pairs.append((width, height))
    except (TypeError, ValueError):
        raise TypeError(message) from None
    return tuple(pairs)


def best_resolution(size_wh: Pair, pinpoints: Sequence[Pair]) -> Pair:
    """Choose the canvas that shows most of an image's own pixels and wastes least.

    Parameters
    ----------
    size_wh : (width, height)
        Of the image in pixels.
    pinpoints : sequence of (width, height)
        Candidates in pixels; among equals the earlier wins.

    Raises
    ------
    ValueError
        If a side of the image is 0, or there is no candidate.
    """
    width, height = positive(size_wh, "image size")
    if not pinpoints:
        raise ValueError("no canvas sizes; give at least one (width, height) pair")
    best, best_shown, best_waste = pinpoints[0], -1, 0
    for w, h in pinpoints:
        scale = min(w / width, h / height)
        shown = min(int(width * scale) * int(height * scale), width * height)
        waste = w * h - shown
        if shown > best_shown or (shown == best_shown and waste < best_waste):
            best, best_shown, best_waste = (w, h), shown, waste
    return best


def positive(size_wh: Pair, what: str) -> Pair:
    """A size as it is, or `ValueError` if a side is below 1; `what` names it."""
    if len(size_wh) != 2 or min(size_wh) < 1:
        raise ValueError(f"{what} {tuple(size_wh)}; need (width, height), each 1 or more")
    return size_wh
