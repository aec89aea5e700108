"""Exact tests, cluster intervals and least effects against scipy and against slow counts."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from saccade.studies.analysis.significance import (
    POWER,
    clustered_change,
    exact_test,
    fewest_pairs,
    least_effect,
)


@pytest.mark.parametrize("worse, better", [(0, 1), (3, 1), (5, 5), (0, 9), (40, 22), (156, 4)])
def test_the_exact_test_is_the_binomial_one(worse: int, better: int) -> None:
    wanted = stats.binomtest(worse, worse + better).pvalue
    assert exact_test(worse, better) == pytest.approx(wanted, rel=1e-12)
    assert exact_test(better, worse) == exact_test(worse, better)


@pytest.mark.parametrize("worse, better", [(0, 0), (1, 0), (6, 0), (2, 7), (4, 4)])
def test_the_exact_test_counts_all_ways_that_pairs_can_change(worse: int, better: int) -> None:
    n = worse + better
    far = abs(worse - better)
    ways = [abs(2 * sum(signs) - n) >= far for signs in itertools.product((0, 1), repeat=n)]
    assert exact_test(worse, better) == pytest.approx(sum(ways) / len(ways), rel=1e-12)


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="worse=-1"):
        exact_test(-1, 2)


def test_fewest_pairs_is_where_the_test_begins_to_find_anything() -> None:
    n = fewest_pairs()
    assert 2 * 0.5**n <= 0.05 < 2 * 0.5 ** (n - 1)


def test_samples_of_their_own_have_the_plain_interval() -> None:
    changes = np.random.default_rng(0).normal(size=40)
    own = clustered_change(changes, range(40))
    assert own.value == changes.mean() and own.clusters == 40
    assert own.se == pytest.approx(stats.sem(changes), rel=1e-12)
    low, high = stats.t.interval(0.95, 39, loc=changes.mean(), scale=stats.sem(changes))
    assert (own.low, own.high) == pytest.approx((low, high), rel=1e-12)
    assert (own.worse, own.better) == (sum(changes < 0), sum(changes > 0))


def test_clusters_are_summed_as_a_slow_count_does() -> None:
    rng = np.random.default_rng(1)
    clusters = [int(c) for c in rng.integers(0, 9, size=60)]
    changes = rng.integers(-1, 2, size=60) + np.array(clusters) / 10
    own = clustered_change(changes, clusters)
    mean = sum(changes) / 60
    total = 0.0
    for name in set(clusters):
        rest = [x - mean for x, c in zip(changes, clusters, strict=True) if c == name]
        total += sum(rest) ** 2
    groups = len(set(clusters))
    assert own.se == pytest.approx(math.sqrt(groups / (groups - 1) * total) / 60, rel=1e-12)
    assert own.clusters == groups


def test_asking_each_picture_twice_makes_nothing_surer() -> None:
    changes = np.random.default_rng(2).normal(size=30)
    once = clustered_change(changes, range(30))
    twice = clustered_change(np.repeat(changes, 2), [i // 2 for i in range(60)])
    assert twice.se == pytest.approx(once.se, rel=1e-12)
    assert (twice.worse, twice.better, twice.p_value) == (once.worse, once.better, once.p_value)


def test_changes_that_cancel_in_a_picture_are_no_change() -> None:
    own = clustered_change([0.1, 0.2, -0.3, 1.0], [0, 0, 0, 1])
    assert (own.worse, own.better) == (0, 1)


def test_one_cluster_says_nothing_about_the_spread() -> None:
    own = clustered_change([1.0, 0.0], [3, 3])
    assert own.value == 0.5 and math.isnan(own.se) and math.isnan(own.low)
    assert math.isnan(least_effect(own))


@pytest.mark.parametrize("changes, clusters", [([], []), ([1.0], [0, 1])], ids=["none", "uneven"])
def test_changes_need_a_cluster_each(changes: list[float], clusters: list[int]) -> None:
    with pytest.raises(ValueError, match="give one each"):
        clustered_change(changes, clusters)


@pytest.mark.parametrize("n", [60, 500])
def test_the_least_effect_is_found_as_often_as_it_says(n: int) -> None:
    changes = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], p=[0.3, 0.4, 0.3], size=n)
    own = clustered_change(changes, range(n))
    least = least_effect(own)
    critical = stats.t.ppf(0.975, n - 1)
    found = stats.nct.sf(critical, n - 1, least / own.se)
    assert found == pytest.approx(POWER, abs=0.01)


def test_where_nothing_changed_the_exact_test_sets_the_least_effect() -> None:
    own = clustered_change(np.zeros(120), range(120))
    assert least_effect(own) == fewest_pairs() / 120
    assert least_effect(own, step=0.5) == fewest_pairs() / 240
    broken = np.zeros(120)
    broken[: fewest_pairs()] = -1
    assert clustered_change(broken, range(120)).p_value < 0.05
    broken[0] = 0
    assert clustered_change(broken, range(120)).p_value > 0.05
