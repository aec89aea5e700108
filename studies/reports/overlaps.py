"""Points of a chart that lie on each other: which they are, and how large each is drawn."""

from collections.abc import Sequence

SIZE, LARGEST, RING = 11.0, 28.0, 6.0
"""Pixels of a point, of the largest under others, and by which one is larger than that on it."""
Place = tuple[float, float]


def piles(points: Sequence[Place | None], near: Place) -> list[list[int]]:
    """Numbers of the points in piles: of each pile all lie as near to the first as `near` says,
    across and up. A point without a place (None) is a pile of its own.
    """
    found: list[list[int]] = []
    for number, point in enumerate(points):
        home = next((pile for pile in found if _close(points[pile[0]], point, near)), None)
        if home is None:
            found.append([number])
        else:
            home.append(number)
    return found


def sizes(count: int) -> list[float]:
    """How large the points of a pile are drawn, in the order in which they are: each shows a rim of
    those under it."""
    ring = min(RING, (LARGEST - SIZE) / max(1, count - 1))
    return [round(SIZE + ring * under, 1) for under in reversed(range(count))]


def _close(a: Place | None, b: Place | None, near: Place) -> bool:
    if a is None or b is None:
        return False
    return abs(a[0] - b[0]) <= near[0] and abs(a[1] - b[1]) <= near[1]
