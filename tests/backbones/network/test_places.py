"""Set operations on ascending positions give what numpy's own give."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saccade.backbones.network.places import among, run_of, without

POSITIONS = st.lists(st.integers(0, 40), unique=True)


@given(POSITIONS, POSITIONS)
def test_members(values: list[int], others: list[int]) -> None:
    own, sorted_others = np.array(values, dtype=np.int64), np.array(sorted(others), dtype=np.int64)
    assert among(own, sorted_others).tolist() == np.isin(own, sorted_others).tolist()
    left = without(np.sort(own), sorted_others)
    assert left.tolist() == np.setdiff1d(own, sorted_others).tolist()


def test_a_run_is_the_same_array_and_cannot_be_changed() -> None:
    assert run_of(3, 4) is run_of(3, 4) and run_of(3, 4).tolist() == [3, 4, 5, 6]
    assert not run_of(3, 4).flags.writeable
