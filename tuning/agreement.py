"""How far an answer agrees with another one, where nobody knows the right answer."""

from collections.abc import Sequence


def agreement(tokens: Sequence[int], other: Sequence[int]) -> float:
    """Share of the longer answer that need not be edited to get the other: 1 for the same.

    Parameters
    ----------
    tokens, other : sequence of int
        Ids of both answers.

    Returns
    -------
    float
        ``1 - edits / longest`` with Levenshtein's edits of tokens, in [0, 1]. For an answer of one
        token, whether it is the same.
    """
    if tuple(tokens) == tuple(other):
        return 1.0
    return 1 - _edits(tokens, other) / max(len(tokens), len(other))


def _edits(a: Sequence[int], b: Sequence[int]) -> int:
    row = list(range(len(b) + 1))
    for i, own in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (own != other))
    return row[-1]
