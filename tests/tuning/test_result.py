"""Fronts and what is taken of them, by known arithmetic."""

import pytest

from saccade.tuning.result import Tried, front, hypervolume


def tried(number: int, score: float, cost: float, feasible: bool = True) -> Tried:
    return Tried(number, "", f"keep{number}", None, score, 1.0, cost, 0.0, feasible)


def test_the_front_is_what_no_other_beats_the_cheapest_allowed_first() -> None:
    all_ = [
        tried(0, 1.0, 1.0),
        tried(1, 0.99, 0.5),
        tried(2, 0.98, 0.6),  # beaten by 1
        tried(3, 0.9, 0.3, False),
        tried(4, 0.5, 0.1, False),
        tried(5, 0.99, 0.5),  # the same as 1, and later
    ]
    assert [one.number for one in front(all_)] == [1, 0, 3, 4]
    assert front([tried(4, 0.5, 0.1, False)])[0].number == 4


def test_the_first_of_the_front_is_never_dearer_than_anything_allowed() -> None:
    all_ = [tried(i, 0.9 + i / 100, 0.2 + i / 10, i % 2 == 0) for i in range(8)]
    allowed = [one for one in all_ if one.feasible]
    assert front(all_)[0].cost == min(one.cost for one in allowed)


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([(1.0, 1.0)], 0.0),
        ([(1.0, 0.5)], 0.5),
        ([(0.9, 0.2)], 0.4),  # half of the height above 80 %, 0.8 of the cost
        ([(1.0, 0.5), (0.9, 0.2)], 0.4 + 0.25),
        ([(0.8, 0.1)], 0.0),
        ([(0.5, 0.01)], 0.0),
    ],
)
def test_areas(points: list[tuple[float, float]], area: float) -> None:
    found = hypervolume([tried(i, *point) for i, point in enumerate(points)])
    assert found == pytest.approx(area)
