"""The statistics of a promise: known arithmetic, oracles, and coverage by simulation."""

import math

import numpy as np
import pytest

from saccade.tuning.certificates import (
    binomial_p,
    cluster_means,
    fixed_sequence,
    hoeffding_bentkus_p,
    p_value,
    pareto_test,
    safest_first,
    samples_needed,
)
from saccade.tuning.coverage import coverage, resampled, synthetic

RATES = (0.01, 0.04, 0.06, 0.08, 0.095, 0.105, 0.12, 0.2)
COSTS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)


def test_299_samples_without_a_change_are_the_least_for_one_percent_at_95() -> None:
    assert samples_needed(0.0, 0.01, 0.05) == 299
    assert binomial_p(0, 299, 0.01) <= 0.05 < binomial_p(0, 298, 0.01)


def test_nine_changes_of_300_pass_five_percent_at_90_and_ten_do_not() -> None:
    assert binomial_p(9, 300, 0.05) <= 0.1 < binomial_p(10, 300, 0.05)
    assert p_value([1.0] * 9 + [0.0] * 291, 0.05, binary=True) == binomial_p(9, 300, 0.05)


def test_the_exact_p_value_is_a_sum_of_chances() -> None:
    for changed, n, alpha in ((0, 1, 0.5), (3, 10, 0.3), (10, 10, 0.2), (2, 40, 0.1)):
        chances = (math.comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(changed + 1))
        assert binomial_p(changed, n, alpha) == pytest.approx(sum(chances), rel=1e-12)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("n", [1, 7, 50, 300, 2000])
def test_bounded_losses_are_tested_as_by_mapie(n: int, alpha: float) -> None:
    methods = pytest.importorskip("mapie.risk_control.methods")
    means = np.array([0.0, 0.0031, 0.0173, 0.049, 0.0777, 0.2511, 0.7, 0.99])
    theirs = methods.compute_hoeffding_bentkus_p_value(means, n, np.array([alpha]))[:, 0]
    ours = [hoeffding_bentkus_p(float(mean), n, alpha) for mean in means]
    np.testing.assert_allclose(ours, np.minimum(theirs, 1), rtol=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_a_fixed_sequence_rejects_what_mapie_rejects(seed: int) -> None:
    control = pytest.importorskip("mapie.risk_control").control_fwer
    values = np.random.default_rng(seed).random(8) ** 4
    theirs = control(values, 0.1, fwer_method="fixed_sequence")
    passed = fixed_sequence(values.tolist(), 0.1).passed
    assert list(theirs) == list(range(passed))


def test_the_first_failure_ends_the_tests_even_if_later_ones_would_pass() -> None:
    verdict = fixed_sequence([0.01, 0.02, 0.3, 0.0], 0.1)
    assert verdict.passed == 2 and verdict.chosen == 1
    assert verdict.p_values == (0.01, 0.02, 0.3)
    assert fixed_sequence([0.11], 0.1).chosen is None
    assert fixed_sequence([math.nan, 0.0], 0.1).chosen is None
    assert fixed_sequence([0.1, 0.1], 0.1).passed == 2


def test_the_order_is_by_loss_and_leaves_out_what_is_no_cheaper() -> None:
    assert safest_first([0.3, 0.0, 0.1, 0.1], [0.1, 0.9, 0.5, 0.4]) == [1, 2, 3, 0]
    assert safest_first([0.0, 0.1], [0.5, 0.5]) == [0]
    assert safest_first([0.1, 0.0, 0.1], [0.3, 0.3, 0.2]) == [1, 2]


def test_equal_losses_on_the_tune_set_leave_the_more_careful_in_front() -> None:
    """Few samples show no change for many; the cheapest of these alone would often abstain."""
    assert safest_first([0.0, 0.0, 0.0], [0.5, 0.3, 0.3]) == [0, 1]
    rates, costs = (0.0, 0.01, 0.02, 0.04, 0.06, 0.1), (0.9, 0.8, 0.6, 0.5, 0.4, 0.3)
    found = coverage(
        synthetic(rates), rates, costs, n=300, alpha=0.05, delta=0.1, draws=300, n_tune=20
    )
    assert found.abstained == 0 and found.broken / found.draws <= 0.1


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.01, 0.02, 0.03, 0.04])
@pytest.mark.parametrize(("alpha", "delta"), [(0.05, 0.1), (0.1, 0.05), (0.06, 0.01)])
def test_samples_needed_are_the_least_that_pass(rate: float, alpha: float, delta: float) -> None:
    found = samples_needed(rate, alpha, delta)
    assert found is not None
    plain = next(
        n for n in range(1, 10**5) if binomial_p(math.ceil(rate * n - 1e-9), n, alpha) <= delta
    )
    assert found == plain
    bounded = samples_needed(rate, alpha, delta, binary=False)
    assert bounded is not None
    assert hoeffding_bentkus_p(rate, bounded, alpha) <= delta
    assert bounded == 1 or hoeffding_bentkus_p(rate, bounded - 1, alpha) > delta


def test_no_number_of_samples_shows_what_is_not_so() -> None:
    assert samples_needed(0.05, 0.05, 0.1) is None
    assert samples_needed(0.2, 0.05, 0.1, binary=False) is None
    assert samples_needed(0.0499999999, 0.05, 0.1) is None  # beyond any set


def test_questions_about_one_picture_count_once() -> None:
    means = cluster_means([1, 0, 0, 0, 1, 1], ["a", "a", "b", "b", "a", "c"])
    np.testing.assert_allclose(means, [2 / 3, 0, 1])
    np.testing.assert_array_equal(cluster_means([1, 0], ["a", "b"]), [1, 0])
    with pytest.raises(ValueError, match="2 losses and 1 clusters"):
        cluster_means([1, 0], ["a"])


def test_clusters_are_tested_by_bounds_and_not_as_if_they_were_independent() -> None:
    """Ten questions about each of 30 pictures, all changed on one of them."""
    losses = [1.0] * 10 + [0.0] * 290
    whole = cluster_means(losses, [i // 10 for i in range(300)])
    assert len(whole) == 30
    assert p_value(whole, 0.1, binary=False) > 0.1 > p_value(losses, 0.1, binary=True)


def test_losses_that_look_binary_by_chance_are_not_tested_as_such() -> None:
    losses = [0.0] * 60
    assert p_value(losses, 0.05, binary=False) > p_value(losses, 0.05, binary=True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        p_value([0.5, 0.0], 0.05, binary=True)


@pytest.mark.parametrize("losses", [[], [0.5, 1.1], [-0.1], [math.nan], [[0.1], [0.2]]])
def test_what_is_no_loss_is_refused(losses: list[float]) -> None:
    for binary in (False, True):
        with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
            p_value(losses, 0.05, binary=binary)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_targets_out_of_range_are_refused(alpha: float) -> None:
    for function in (binomial_p, hoeffding_bentkus_p, samples_needed):
        with pytest.raises(ValueError, match="alpha="):
            function(0, 10, alpha) if function is not samples_needed else function(0, alpha, 0.1)
    if alpha != 0.0:
        with pytest.raises(ValueError, match="delta="):
            fixed_sequence([0.0], alpha)


def test_the_promise_is_kept_and_the_best_mean_would_break_it() -> None:
    """At the target of 10 %: settings just below and just above it, in 1000 draws."""
    found = coverage(
        synthetic(RATES), RATES, COSTS, n=300, alpha=0.1, delta=0.1, draws=1000, seed=1
    )
    assert found.broken / found.draws <= 0.1
    assert found.naive / found.draws > 0.15  # choosing by the mean breaks it far more often
    assert found.abstained < 100 and found.cost < 0.8


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_losses_that_do_not_grow_along_the_order_keep_the_promise(shared: float) -> None:
    rates = (0.02, 0.13, 0.03, 0.12, 0.04)
    found = coverage(
        synthetic(rates, shared), rates, COSTS[:5], n=200, alpha=0.1, delta=0.1, draws=600
    )
    assert found.broken / found.draws <= 0.1


def test_one_setting_just_above_the_target_is_promised_as_often_as_delta_allows() -> None:
    found = coverage(
        synthetic([0.1001]), [0.1001], [0.5], n=300, alpha=0.1, delta=0.1, draws=2000, seed=3
    )
    assert 0.04 < found.broken / found.draws < 0.12  # exact, and not far below delta


def test_bounded_losses_keep_the_promise() -> None:
    rng = np.random.default_rng(0)
    recorded = rng.beta(0.3, 3.0, (6, 400)) * np.linspace(0.6, 1.6, 6)[:, None]
    recorded = recorded.clip(0, 1)
    risks = recorded.mean(axis=1).tolist()
    assert min(risks) < 0.1 < max(risks)
    found = coverage(
        resampled(recorded),
        risks,
        COSTS[:6],
        n=300,
        alpha=0.1,
        delta=0.1,
        draws=200,
        binary=False,
    )
    assert found.broken / found.draws <= 0.1 and found.abstained < 200


def test_pareto_test_takes_the_last_that_passed() -> None:
    none, few, many = (
        np.zeros(100),
        np.r_[np.ones(2), np.zeros(98)],
        np.r_[np.ones(30), np.zeros(70)],
    )
    assert pareto_test([none, few, many, none], 0.1, 0.1, binary=True).chosen == 1
