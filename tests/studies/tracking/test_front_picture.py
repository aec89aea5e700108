"""Fronts as pixels: points where their values are, whatever they are called."""

import numpy as np
import pytest
from PIL import ImageColor

from saccade.studies.tracking.front_picture import COLOURS, HEIGHT, LEFT, WIDTH, front_picture
from saccade.studies.tracking.scatter import front_figure

Points = list[tuple[float, float, str]]


def middle(figure: str, number: int) -> tuple[float, float]:
    """Where on the chart the dot of a point is, in pixels."""
    pixels = np.asarray(front_picture(figure))[:, :WIDTH]
    rows, columns = (pixels == ImageColor.getrgb(COLOURS[number])).all(2).nonzero()
    return columns.mean(), rows.mean()


def test_points_lie_where_their_values_are() -> None:
    points: Points = [(1.0, 0.5, "none"), (2.0, 1.0, "<b>both</b>\n%{x}"), (3.0, 0.75, "z" * 5000)]
    figure = front_figure(points, [(2.0, 1.0), (3.0, 0.75)], "speed-up", "score")
    (x0, y0), (x1, y1), (x2, y2) = (middle(figure, number) for number in range(3))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=1.5) and x2 - x0 > (WIDTH - LEFT) / 2
    assert y0 - y1 == pytest.approx(2 * (y2 - y1), abs=1.5) and y0 - y1 > HEIGHT / 2


@pytest.mark.parametrize(
    "points",
    [[], [(1.0, 1.0, "")], [(0.0, 0.0, "a")] * 60, [(1e-9, 1e12, "a"), (2e-9, 2e12, "b")]],
    ids=["none", "one", "sixty at a place", "far apart"],
)
def test_odd_fronts_are_drawn(points: Points) -> None:
    image = front_picture(front_figure(points, [p[:2] for p in points[:2]], "x", "y"))
    assert image.height == HEIGHT and len(image.getcolors(1 << 20) or ()) > 1
