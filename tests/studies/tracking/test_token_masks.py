"""Masks of visual tokens, by arithmetic on small grids."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from saccade.studies.tracking.sink import Mask
from saccade.studies.tracking.token_masks import (
    DROPPED,
    KEPT,
    NOWHERE,
    RESTORED,
    SIDE,
    fates,
    mask_pixels,
    shaded,
    token_masks,
)

Place = tuple[float, float, float] | None


def view(side: int, image: int = 0) -> list[Place]:
    """Tokens of a square view, row by row."""
    line = [(n + 0.5) / side for n in range(side)]
    return [(image, x, y) for y in line for x in line]


def counted(mask: Mask) -> Counter[int]:
    return Counter(cell for row in mask.cells for cell in row)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([{0, 1, 2}], [KEPT] * 3),
        ([{0, 1, 2}, {0}], [KEPT, DROPPED, DROPPED]),
        ([{0}, {0, 1}], [KEPT, RESTORED, DROPPED]),
        ([{0, 1}, {0}, {0, 1}], [KEPT, RESTORED, DROPPED]),
        ([{0, 1, 2}, set()], [DROPPED] * 3),
    ],
    ids=range(5),
)
def test_what_became_of_a_token(steps: Sequence[set[int]], found: list[int]) -> None:
    assert fates(steps, 3) == found


def test_every_token_has_its_place_on_the_picture() -> None:
    found = [KEPT, DROPPED, RESTORED, *[DROPPED] * 13]
    ((name, mask),) = token_masks(view(4), found).items()
    assert name == "visual tokens"
    for token, (_, x, y) in enumerate(filter(None, view(4))):
        assert mask.cells[int(y * SIDE)][int(x * SIDE)] == found[token]
    share = SIDE * SIDE // 16
    assert counted(mask) == {KEPT: share, RESTORED: share, DROPPED: 14 * share}
    assert set(mask.labels) >= {NOWHERE, KEPT, DROPPED, RESTORED}


def test_tiles_have_a_mask_of_their_own_and_newlines_none() -> None:
    tiles: list[Place] = []
    for start in range(0, 16, 4):
        tiles += [*view(4)[start : start + 4], None]
    found = [*[KEPT] * 4, *[DROPPED] * 20]
    masks = token_masks([*view(2), *tiles], found)
    assert {name: set(counted(mask)) for name, mask in masks.items()} == {
        "tokens of the whole": {KEPT},
        "tokens of tiles": {DROPPED},
    }


def test_only_the_first_picture_is_shown_and_only_where_it_has_tokens() -> None:
    half = [place for place in view(8) if place and place[2] < 0.5]
    (mask,) = token_masks([*half, *view(2, image=1)], [KEPT] * 36).values()
    assert set(counted(mask)) == {KEPT, NOWHERE}
    assert set(mask.cells[0]) == {KEPT} and set(mask.cells[-1]) == {NOWHERE}
    assert token_masks([None, *view(2, image=1)], [KEPT] * 5) == {}


def test_one_token_covers_its_picture() -> None:
    (mask,) = token_masks([(0, 0.5, 0.5)], [RESTORED]).values()
    assert set(counted(mask)) == {RESTORED}


def test_pixels_are_shaded_by_class() -> None:
    mask = Mask(((KEPT, DROPPED), (RESTORED, NOWHERE)), {})
    classes = mask_pixels(mask, (4, 2))
    assert classes.tolist() == [[KEPT, KEPT, DROPPED, DROPPED], [RESTORED] * 2 + [NOWHERE] * 2]
    white = np.full((2, 4, 3), 200, np.uint8)
    out = shaded(white, classes)
    assert (out[0, 0] == 200).all() and (out[1, 3] == 200).all()
    assert out[0, 2].tolist() == [50, 50, 50]
    assert out[1, 0, 1] > out[1, 0, 0]
