"""Which cases no other one beats in both score and speed-up."""

from collections.abc import Sequence

from saccade.studies.analysis.summary import Row


def pareto_front(rows: Sequence[Row], axis: str) -> list[Row]:
    """Rows of one task that are not dominated, by ascending speed-up.

    A row is dominated if another one is at least as good in both, and better in one. Rows without a
    value do not count.

    Parameters
    ----------
    rows : sequence of Row
    axis : str
        Column of the speed-up, e.g. "speedup_projected"; more is better.
    """
    known = [row for row in rows if row[axis] is not None and row["score"] is not None]
    known.sort(key=lambda row: (-row[axis], -row["score"]))
    front: list[Row] = []
    for row in known:
        if not front or row["score"] > front[-1]["score"]:
            front.append(row)
    return front[::-1]
