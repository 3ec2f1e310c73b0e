"""Intervals that cover, tests that see what is there and do not see what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.metrics import bootstrap_interval, holm, paired_randomisation_test


def test_interval_of_equal_values_has_no_width() -> None:
    assert bootstrap_interval(np.full(7, 0.25)) == (0.25, 0.25)


def test_interval_is_close_to_the_normal_one_on_many_values() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, size=400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.001)


def test_interval_is_repeatable_and_follows_the_seed() -> None:
    values = np.random.default_rng(3).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_interval_leaves_out_undefined_values() -> None:
    values = np.array([0.1, np.nan, 0.9, 0.4])
    assert bootstrap_interval(values) == bootstrap_interval(values[~np.isnan(values)])
    assert all(math.isnan(bound) for bound in bootstrap_interval(np.array([np.nan])))


def test_p_of_three_pairs_by_hand() -> None:
    # Differences +1, +1, +1: 2 of the 8 sign patterns reach |mean| 1, so p is about 1/4.
    p = paired_randomisation_test(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]), permutations=20_000)
    assert p == pytest.approx(0.25, abs=0.015)


def test_a_clear_difference_is_seen_and_noise_is_not() -> None:
    rng = np.random.default_rng(5)
    theirs = rng.random(60)
    assert paired_randomisation_test(theirs + 0.1 + rng.normal(0, 0.05, 60), theirs) < 0.001
    ours = rng.permutation(theirs)
    assert paired_randomisation_test(ours, theirs) > 0.2


def test_p_is_the_same_whoever_is_called_ours() -> None:
    rng = np.random.default_rng(6)
    ours, theirs = rng.random(20), rng.random(20)
    assert paired_randomisation_test(ours, theirs) == paired_randomisation_test(theirs, ours)


def test_pairs_without_a_value_do_not_count() -> None:
    ours, theirs = np.array([0.5, np.nan, 0.25]), np.array([0.5, 0.1, np.nan])
    assert paired_randomisation_test(ours, theirs) == 1.0
    assert math.isnan(paired_randomisation_test(ours[1:2], theirs[1:2]))
    with pytest.raises(ValueError, match="paired"):
        paired_randomisation_test(ours, theirs[:2])


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.5]) == pytest.approx([0.08, 0.03, 0.5])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    corrected = holm([0.01, math.nan, 0.02])
    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
    assert holm([]) == []
