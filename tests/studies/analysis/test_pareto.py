"""The front: against the definition, written out."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from saccade.studies.analysis.pareto import pareto_front

NUMBERS = st.one_of(st.none(), st.integers(0, 6).map(float))
ROWS = st.lists(st.fixed_dictionaries({"speedup": NUMBERS, "score": NUMBERS}), max_size=12)


def dominated(row: dict[str, Any], other: dict[str, Any]) -> bool:
    pairs = [(row[name], other[name]) for name in ("speedup", "score")]
    return all(b >= a for a, b in pairs) and any(b > a for a, b in pairs)


@given(ROWS)
def test_nothing_beats_a_row_of_the_front(rows: list[dict[str, Any]]) -> None:
    known = [row for row in rows if None not in row.values()]
    free = [row for row in known if not any(dominated(row, other) for other in known)]
    wanted = sorted({(row["speedup"], row["score"]) for row in free})
    given_ = pareto_front(rows, "speedup")
    assert [(row["speedup"], row["score"]) for row in given_] == wanted
