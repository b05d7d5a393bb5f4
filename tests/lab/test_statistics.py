"""Statistics against brute force and SciPy, and the promise that identical arms are seldom told apart."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from glassnet.lab.statistics import (
    Paired,
    best_of_k,
    bootstrap_interval,
    compare_paired,
    detectable,
    holm,
    mcnemar,
    paired_test,
    sign_flip_test,
    smallest_p,
    student_test,
    time_to_target,
)  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 6, 10])
def test_the_sign_flip_test_counts_every_pattern(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    means = [abs(np.mean(d * signs)) for signs in itertools.product((1, -1), repeat=n)]
    assert sign_flip_test(d) == pytest.approx(np.mean([m >= abs(d.mean()) - 1e-12 for m in means]))


def test_the_sign_flip_test_agrees_with_scipy_s_permutation_test() -> None:
    d = np.random.default_rng(3).normal(0.4, 1, 9)
    found = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(d) == pytest.approx(found.pvalue)


def test_sampled_and_exact_sign_flips_agree() -> None:
    d = np.random.default_rng(0).normal(0.4, 1, 17)
    normal = 2 * stats.norm.sf(abs(d.sum()) / math.sqrt((d**2).sum()))
    assert sign_flip_test(d) == pytest.approx(normal, abs=0.02)
    assert sign_flip_test(np.full(40, 1.0)) == pytest.approx(1 / 100_001)


@pytest.mark.parametrize("n", [2, 6, 10, 30])
def test_student_s_test_is_scipy_s(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    assert student_test(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-12)
    assert student_test(np.ones(n)) == 0.0
    assert student_test(np.zeros(n)) == student_test(np.ones(1)) == 1.0


def test_p_is_student_s_where_it_is_near_the_sign_flip_test_s_and_else_not_far_from_that() -> None:
    rng, inside, outside = np.random.default_rng(0), 0, 0
    for effect in np.linspace(0, 2, 200):
        d = rng.normal(effect, 1, 8)
        flip, student, p = sign_flip_test(d), student_test(d), paired_test(d)
        if 0.9 * flip <= student <= 1.4 * flip:
            inside += 1
            assert p == student
        else:
            outside += 1
            assert p == pytest.approx((0.9 if student < flip else 1.4) * flip)
    assert min(inside, outside) > 20


@pytest.mark.parametrize("test", [sign_flip_test, student_test, paired_test])
def test_nothing_and_what_is_not_finite_say_nothing(test) -> None:
    assert test(np.empty(0)) == 1.0
    for strange in (np.nan, np.inf):
        assert test(np.array([strange, *np.ones(9)])) == 1.0


def test_five_seeds_can_never_show_anything() -> None:
    scores = {"a": np.full(5, 1.0) + np.arange(5) / 1000, "b": np.zeros(5)}
    pair = compare_paired(scores, [("a", "b")])[0]
    assert pair.p == smallest_p(5) > 0.05
    assert not pair.shown
    assert pair.detectable == math.inf
    assert not Paired(**{**vars(pair), "p_holm": 0.001}).shown  # whatever the rest says


def test_equal_scores_show_nothing() -> None:
    pair = compare_paired({"a": np.ones(10), "b": np.ones(10)}, [("a", "b")])[0]
    assert (pair.p, pair.low, pair.high, pair.wins, pair.shown) == (1.0, 0.0, 0.0, 0.5, False)


def test_of_errors_the_lower_is_better() -> None:
    rng = np.random.default_rng(0)
    scores = {"good": rng.normal(1, 0.1, 10), "bad": rng.normal(2, 0.1, 10)}
    pair = compare_paired(scores, [("good", "bad")], higher_is_better=False)[0]
    assert pair.mean > 0
    assert pair.shown


@pytest.mark.parametrize("change", [{"p_holm": 0.05}, {"win_high": 0.7}, {"wins": 0.4}, {"n": 5}])
def test_the_corrected_test_and_the_wins_must_agree(change) -> None:
    good = Paired("a", "b", 10, 0.1, 0.05, 0.05, 0.15, "BCa", 0.01, 0.02, 0.9, 0.6, 0.98, 0.05)
    assert good.shown
    assert not Paired(**{**vars(good), **change}).shown


def share_told_apart(magnitudes: np.ndarray) -> int:
    """How many of all sign patterns, each as likely as any other between identical arms, give p < 0.05."""
    half = itertools.product((1, -1), repeat=len(magnitudes) - 1)  # the mirror half has the same p
    return 2 * sum(paired_test(magnitudes * np.array((1, *signs))) < 0.05 for signs in half)


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "random", "ones"])
def test_ten_seeds_tell_identical_arms_apart_in_at_most_56_of_1024_patterns(draw: str) -> None:
    """The test's size by counting, which no distribution of the scores can pass."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        magnitudes = np.ones(10) if draw == "ones" else np.abs(getattr(rng, draw)(size=10))
        told_apart = share_told_apart(magnitudes)
        assert told_apart <= 56
        assert told_apart >= (22 if draw == "ones" else 36)  # of equal ones whole classes of patterns tie


def test_of_normal_scores_ten_seeds_tell_identical_arms_apart_in_five_of_a_hundred() -> None:
    """Counting all patterns of each draw leaves little to chance: three standard errors are 0.0026."""
    rng = np.random.default_rng(1)
    shares = [share_told_apart(rng.normal(size=10)) / 1024 for _ in range(40)]
    assert abs(np.mean(shares) - 0.05) < 0.003


def test_the_bca_interval_is_scipy_s_and_falls_back() -> None:
    d = np.random.default_rng(1).exponential(1, 12)
    low, high, method = bootstrap_interval(d)
    assert method == "BCa"
    assert low < d.mean() < high
    assert bootstrap_interval(np.ones(8)) == (1.0, 1.0, "all alike")
    assert math.isnan(bootstrap_interval(np.ones(1))[0])


def test_holm_by_hand_and_in_any_order() -> None:
    p = [0.01, 0.02, 0.03, 0.2]
    assert holm(p) == pytest.approx([0.04, 0.06, 0.06, 0.2])
    assert holm(p[::-1]) == pytest.approx(holm(p)[::-1])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_the_detectable_difference_is_found_in_four_fifths_of_repetitions() -> None:
    rng, effect, n = np.random.default_rng(0), detectable(1.0, 10), 1500
    hits = sum(stats.ttest_1samp(rng.normal(effect, 1, 10), 0).pvalue < 0.05 for _ in range(n))
    assert abs(hits / n - 0.8) < 3 * math.sqrt(0.16 / n)


def test_best_of_k_is_the_mean_over_all_draws() -> None:
    values = np.array([0.3, 0.9, 0.5])
    for k, expected in enumerate(best_of_k(values), 1):
        draws = [max(draw) for draw in itertools.product(values, repeat=k)]
        assert expected == pytest.approx(np.mean(draws))


def test_mcnemar_is_the_binomial_test_of_the_disagreements() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 200)) < 0.8
    only_a, only_b = (a & ~b).sum(), (~a & b).sum()
    assert mcnemar(a, b) == pytest.approx(stats.binomtest(int(only_a), int(only_a + only_b)).pvalue)
    assert mcnemar(a, a) == 1.0


def test_time_to_target_counts_the_first_time_and_never_is_infinite() -> None:
    history = {"val_loss": [1.0, 0.4, 0.6], "seconds": [2.0, 3.0, 4.0]}
    assert time_to_target(history, "val_loss", 0.5, higher_is_better=False) == (2.0, 5.0)
    assert time_to_target(history, "val_loss", 0.1, higher_is_better=False) == (math.inf, math.inf)


@pytest.mark.parametrize("n", [6, 10])
def test_identical_arms_are_told_apart_in_at_most_five_of_a_hundred(n: int) -> None:
    """The whole verdict, 300 times; the bound leaves three standard errors above 0.05."""
    rng = np.random.default_rng(n)
    hits = [
        compare_paired({"a": rng.normal(size=n), "b": rng.normal(size=n)}, [("a", "b")])[0].shown
        for _ in range(300)
    ]
    assert np.mean(hits) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
