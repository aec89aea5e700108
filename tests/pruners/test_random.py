"""Random: seeded, independent, uniform."""

import torch

from saccade.pruners import Random
from tests.pruners.views import view_of


def random_choice(seed: int = 0, view_seed: int = 0, n: int = 20, total: int = 100) -> list[int]:
    view = view_of(torch.zeros(total, 1), seed=view_seed)
    return list(map(int, Random(seed).select(view, n).keep))


def test_random_ignores_and_leaves_the_global_generator() -> None:
    view = view_of(torch.zeros(50, 1))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Random().select(view, 9).keep
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(Random().select(view, 9).keep, first)


def test_random_follows_both_seeds() -> None:
    choices = [random_choice(seed, view) for seed in range(-2, 6) for view in range(6)]
    assert len(set(map(tuple, choices))) == len(choices)
    assert random_choice(3, 4) == random_choice(3, 4)


def test_random_choices_are_nested() -> None:
    kept = [set(random_choice(n=n)) for n in (1, 10, 40, 99)]
    assert all(small < large for small, large in zip(kept, kept[1:], strict=False))


def test_random_is_uniform() -> None:
    counts = torch.zeros(20)
    for view_seed in range(2000):
        counts[random_choice(view_seed=view_seed, n=5, total=20)] += 1
    # 500 expected of each, standard deviation 19.4
    assert counts.min() > 400
    assert counts.max() < 600
