"""What a cache remembers: entries, stacks of unequal ones, and which plans can cut it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.backbones.network.cache import Cache, Entry, Reader, Recorder, Stack
from saccade.backbones.network.token_states import TokenStates
from saccade.controller import Drop, Plan

HEADS, WIDTH = 2, 4


def entry(*places: int, seed: int = 0) -> Entry:
    k, v = torch.randn(2, HEADS, len(places), WIDTH, generator=torch.Generator().manual_seed(seed))
    return Entry(k, v, np.array(places))


def new(rows: int, batch: int) -> tuple[Tensor, Tensor]:
    k, v = torch.randn(2, batch, HEADS, rows, WIDTH)
    return k, v


def test_what_stays_keeps_its_place() -> None:
    whole = entry(0, 1, 4, 7)
    cut = whole.keep(np.array([True, False, False, True]))
    assert cut.places.tolist() == [0, 7]
    assert torch.equal(cut.k, whole.k[:, [0, 3]]) and torch.equal(cut.v, whole.v[:, [0, 3]])
    assert cut.k.untyped_storage().nbytes() == cut.k.numel() * 4  # what went is freed


def test_a_stack_of_unequal_entries_ends_with_the_new_rows() -> None:
    entries = [entry(0, 1, 2, seed=1), entry(3, seed=2)]
    stack = Stack(entries, room=2)
    k, v = new(2, batch=2)
    keys, values, mask = stack.extended(k, v)
    assert keys.shape == values.shape == (2, HEADS, 5, WIDTH)
    assert mask is not None and mask.tolist() == [[True] * 5, [False, False, True, True, True]]
    for i, own in enumerate(entries):
        start = 3 - len(own)
        assert torch.equal(keys[i, :, start:], torch.cat([own.k, k[i]], dim=1))
        assert torch.equal(values[i, :, start:], torch.cat([own.v, v[i]], dim=1))


def test_equal_entries_need_no_mask() -> None:
    stack = Stack([entry(0, 1), entry(5, 6)], room=1)
    assert stack.extended(*new(1, batch=2))[2] is None


def test_rows_that_stay_are_written_once() -> None:
    stack = Stack([entry(0, 1), entry(4)], room=3)
    storage = stack.k.data_ptr()
    for step in range(3):
        k, v = new(1, batch=2)
        keys, _, _ = stack.extended(k, v)
        assert keys.data_ptr() == storage
        places = [np.array([10 + step]), np.array([20 + step])]
        entries = stack.append(places)
        assert torch.equal(entries[1].k[:, -1:], k[1])
    assert entries[0].places.tolist() == [0, 1, 10, 11, 12]
    assert entries[1].places.tolist() == [4, 20, 21, 22]
    assert stack.room == 0


def test_a_recorder_keeps_what_is_below_its_ends() -> None:
    rows = TokenStates.of(torch.zeros(2, 5, 8), [5, 3]).take(
        [np.array([0, 2, 4]), np.array([0, 1, 2])]
    )
    memory = Recorder([4, 3])
    k, v = new(3, batch=2)
    assert memory.past(0) is None
    memory.store(0, rows, k, v)
    first, second = (cache.entries[0] for cache in memory.caches)
    assert first.places.tolist() == [0, 2] and torch.equal(first.k, k[0, :, :2])
    assert second.places.tolist() == [0, 1, 2] and torch.equal(second.v, v[1])


def reader(*stacks: dict[int, Stack]) -> Reader:
    caches = [Cache([entry(0, 1, 2, seed=1)]), Cache([entry(0, 3, seed=2)])]
    return Reader(caches, rows=2, append=0, stacks=stacks[0] if stacks else None)


def test_a_stack_is_made_anew_only_when_an_entry_changed() -> None:
    memory = reader()
    stack = memory.past(0)
    assert memory.past(0) is stack
    memory.cut(0, 0, np.array([9]))  # nothing of that is there
    assert memory.past(0) is stack
    memory.cut(0, 0, np.array([1]))
    assert memory.past(0) is not stack
    assert memory.places(0)[0].tolist() == [0, 2] and memory.places(0)[1].tolist() == [0, 3]


def test_the_caches_hold_views_of_the_stack() -> None:
    memory = reader()
    stack = memory.past(0)
    owner = stack.k.untyped_storage().data_ptr()
    for cache in memory.caches:
        assert cache.entries[0].k.untyped_storage().data_ptr() == owner


VISUAL = np.arange(2, 10)
WHOLE, HALF = list(range(12)), [0, 1, 2, 4, 6, 8, 10, 11]


@pytest.mark.parametrize(
    ("layers", "drops", "planned", "reselect", "fits"),
    [
        ([WHOLE, WHOLE], (), (), False, True),
        ([WHOLE, WHOLE], (), (Drop(0, 0.5),), False, True),
        ([WHOLE, WHOLE], (), (Drop(1, 0.0),), True, True),
        ([HALF, HALF], (Drop(0, 0.5),), (Drop(0, 0.5),), False, True),
        ([HALF, HALF], (Drop(0, 0.5),), (Drop(0, 0.5),), True, False),
        ([HALF, HALF], (Drop(0, 0.5),), (Drop(0, 0.25), Drop(1, 0.0)), False, True),
        ([HALF, HALF], (Drop(0, 0.5),), (), False, False),
        ([HALF, HALF], (Drop(0, 0.5),), (Drop(0, 0.75),), False, False),
        ([HALF, HALF], (Drop(0, 0.5),), (Drop(1, 0.25),), False, False),
        ([WHOLE, HALF], (Drop(1, 0.5),), (Drop(1, 0.25),), False, True),
        ([WHOLE, HALF], (Drop(1, 0.5),), (Drop(0, 0.5),), False, True),
        ([WHOLE, HALF], (Drop(1, 0.5),), (Drop(0, 0.75), Drop(1, 0.25)), False, False),
        ([WHOLE, HALF], (Drop(1, 0.5),), (), False, False),
    ],
)
def test_a_plan_fits_where_nothing_is_missing(
    layers: list[list[int]],
    drops: tuple[Drop, ...],
    planned: tuple[Drop, ...],
    reselect: bool,
    fits: bool,
) -> None:
    left = np.flatnonzero(np.isin(VISUAL, layers[-1]))
    cache = Cache([entry(*places) for places in layers], drops, kept=left)
    n = round(planned[0].keep * len(VISUAL)) if planned else len(VISUAL)
    assert cache.fits(Plan(planned, reselect=reselect), n, VISUAL) is fits


TEXT = [0, 1, 10, 11]


@pytest.mark.parametrize(
    ("layers", "bypass", "drops", "planned", "fits"),
    [
        ([WHOLE, TEXT], {1}, (), Plan(bypass={1}), True),
        ([WHOLE, WHOLE], set(), (), Plan(bypass={0, 1}), True),
        ([WHOLE, TEXT], {1}, (), Plan(), False),
        ([WHOLE, TEXT], {1}, (), Plan(bypass={0}), False),
        ([TEXT, WHOLE], {0}, (), Plan((Drop(1, 0.5),), {0}), True),
        ([TEXT, HALF], {0}, (Drop(1, 0.5),), Plan((Drop(1, 0.25),), {0, 1}), True),
        ([TEXT, HALF], {0}, (Drop(1, 0.5),), Plan((), {0}), False),
    ],
)
def test_what_skipped_a_layer_is_missing_only_there(
    layers: list[list[int]], bypass: set[int], drops: tuple[Drop, ...], planned: Plan, fits: bool
) -> None:
    left = np.arange(8)[:: 2 if drops else 1]
    cache = Cache([entry(*places) for places in layers], drops, frozenset(bypass), left)
    n = round(planned.drops[0].keep * len(VISUAL)) if planned.drops else len(VISUAL)
    assert cache.fits(planned, n, VISUAL) is fits
