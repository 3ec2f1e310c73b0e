"""Intervals that cover, tests that see what is there and do not see what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.metrics import significance
from eval.metrics.significance import (
    bootstrap_interval,
    bootstrap_intervals,
    difference_interval,
    holm,
    paired_randomisation_test,
    paired_randomisation_tests,
    relative_gains,
)


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


@pytest.fixture
def columns() -> np.ndarray:
    """Four metrics as a harness has them: a share, many zeros, undefined for some queries, for nearly all."""
    rng = np.random.default_rng(7)
    values = rng.random((300, 4))
    values[:, 1] *= values[:, 1] > 0.9
    values[rng.random(300) < 0.4, 2] = np.nan
    values[3:, 3] = np.nan
    values[11] = np.nan
    return values


def interval_by_redrawing(values: np.ndarray) -> list[float]:
    rng = np.random.default_rng(99)
    values = values[~np.isnan(values)]
    means = [rng.choice(values, size=len(values)).mean() for _ in range(4_000)]
    return [float(bound) for bound in np.quantile(means, [0.025, 0.975])]


def test_intervals_of_columns_are_those_of_each_alone(columns: np.ndarray) -> None:
    found = bootstrap_intervals(columns)
    assert found.shape == (4, 2)
    for column in range(3):
        width = found[column, 1] - found[column, 0]
        assert found[column] == pytest.approx(interval_by_redrawing(columns[:, column]), abs=0.04 * width)
        assert found[column] == pytest.approx(bootstrap_interval(columns[:, column]), abs=0.04 * width)
    assert columns[:3, 3].min() <= found[3, 0] < found[3, 1] <= columns[:3, 3].max()


def test_intervals_of_columns_follow_the_seed_and_not_the_memory(
    columns: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bootstrap_intervals(columns, resamples=200, seed=4)
    assert not np.array_equal(found, bootstrap_intervals(columns, resamples=200, seed=5))
    monkeypatch.setattr(significance, "_CHUNK_VALUES", 2_000)
    np.testing.assert_allclose(bootstrap_intervals(columns, resamples=200, seed=4), found, rtol=1e-12)


def test_a_column_without_a_value_has_no_interval_and_leaves_the_others_alone() -> None:
    values = np.array([[np.nan, 0.1], [np.nan, 0.1], [np.nan, np.nan]])
    np.testing.assert_array_equal(bootstrap_intervals(values), [[np.nan, np.nan], [0.1, 0.1]])
    assert np.isnan(bootstrap_intervals(np.empty((0, 1)))).all()


def test_among_very_many_values_the_normal_interval_is_the_redrawn_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = (np.random.default_rng(8).random((4_000, 3)) < 0.09).astype(float)
    values[50:, 1] = np.nan
    redrawn = bootstrap_intervals(values)
    monkeypatch.setattr(significance, "NORMAL_FROM", 1_000)
    normal = bootstrap_intervals(values)
    assert not np.array_equal(normal[0], redrawn[0])
    np.testing.assert_allclose(normal[[0, 2]], redrawn[[0, 2]], atol=0.03 * (redrawn[0, 1] - redrawn[0, 0]))
    assert tuple(normal[1]) == bootstrap_interval(values[:50, 1])  # few values are redrawn beside many, too


def test_a_difference_is_known_better_than_its_sides() -> None:
    rng = np.random.default_rng(9)
    theirs = rng.random(200)
    ours = theirs + rng.normal(0.02, 0.05, 200)
    low, high = difference_interval(ours, theirs)
    mean, half = (ours - theirs).mean(), 1.96 * (ours - theirs).std() / math.sqrt(200)
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.001)
    assert low > 0  # though the intervals of the two overlap
    assert bootstrap_interval(ours)[0] < bootstrap_interval(theirs)[1]
    with pytest.raises(ValueError, match="paired"):
        difference_interval(ours, theirs[:3])


def test_p_values_of_columns_are_those_of_each_alone(columns: np.ndarray) -> None:
    rng = np.random.default_rng(10)
    theirs = columns + rng.normal(0.004, 0.05, columns.shape) * (rng.random(columns.shape) < 0.5)
    found = paired_randomisation_tests(columns, theirs)
    signs = rng.choice([-1.0, 1.0], size=(10_000, 300))
    for column in range(4):
        differences = np.nan_to_num(columns[:, column] - theirs[:, column])
        by_signs = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean()
        assert found[column] == pytest.approx(by_signs, abs=0.02)
        alone = paired_randomisation_test(columns[:, column], theirs[:, column])
        assert found[column] == pytest.approx(alone, abs=0.02)
    assert 0.0002 < found[0] < 0.999
    np.testing.assert_array_equal(found, paired_randomisation_tests(columns, theirs))
    assert not np.array_equal(found, paired_randomisation_tests(columns, theirs, seed=1))


def test_among_very_many_pairs_the_normal_p_is_the_drawn_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    ours, theirs = rng.random((3_000, 3)), rng.random((3_000, 3))
    theirs[:, 2] -= 0.2
    drawn = paired_randomisation_tests(ours, theirs)
    monkeypatch.setattr(significance, "NORMAL_FROM", 1_000)
    normal = paired_randomisation_tests(ours, theirs)
    assert not np.array_equal(normal[:2], drawn[:2])
    np.testing.assert_allclose(normal, drawn, atol=0.015)
    assert normal[2] == drawn[2] == 1 / 10_001


def test_columns_without_a_pair_have_no_p_and_equal_ones_1() -> None:
    ours = np.array([[0.5, np.nan, 1.0], [0.25, 0.5, 1.0]])
    theirs = np.array([[0.5, 1.0, np.nan], [0.25, np.nan, np.nan]])
    np.testing.assert_array_equal(paired_randomisation_tests(ours, theirs), [1.0, np.nan, np.nan])
    with pytest.raises(ValueError, match="metrics"):
        bootstrap_intervals(ours[0])


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.5]) == pytest.approx([0.08, 0.03, 0.5])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    corrected = holm([0.01, math.nan, 0.02])
    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
    assert holm([]) == []


def test_whole_groups_are_redrawn_as_a_slow_loop_does() -> None:
    rng = np.random.default_rng(5)
    groups = rng.integers(12, size=60) * 7
    values = rng.random((60, 2)) + groups[:, None] / 20
    values[rng.random(60) < 0.2, 1] = np.nan
    found = bootstrap_intervals(values, groups=groups, resamples=300, seed=9)

    codes = np.unique(groups)
    draws = np.random.default_rng(9)
    means = []
    for _ in range(300):
        drawn = [values[groups == codes[place]] for place in draws.integers(len(codes), size=len(codes))]
        means.append(np.nanmean(np.concatenate(drawn), axis=0))
    np.testing.assert_allclose(found, np.quantile(means, [0.025, 0.975], axis=0).T, rtol=1e-12)
    alone = bootstrap_intervals(values, resamples=300, seed=9)
    assert (np.diff(found) > 1.5 * np.diff(alone)).all(), "cases that hang together know less"


def test_groups_of_one_are_no_groups() -> None:
    values = np.random.default_rng(2).random((40, 1))
    alone = bootstrap_intervals(values, resamples=200)
    np.testing.assert_allclose(bootstrap_intervals(values, groups=np.arange(40), resamples=200), alone)
    ours, theirs = values, values[::-1]
    p = paired_randomisation_tests(ours, theirs, permutations=200)
    np.testing.assert_allclose(paired_randomisation_tests(ours, theirs, groups=np.arange(40), permutations=200), p)


def test_pairs_of_a_group_are_swapped_together() -> None:
    ours, theirs = np.ones((30, 1)), np.zeros((30, 1))
    assert paired_randomisation_tests(ours, theirs, permutations=999)[0] == 0.001
    two = paired_randomisation_tests(ours, theirs, groups=np.repeat([0, 1], 15), permutations=999)[0]
    assert 0.4 < two < 0.6, "of two groups, half the swaps are as large"


def test_a_relative_gain_keeps_pairs_together_as_a_slow_loop_does() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.random(50)
    ours = theirs + rng.random(50) / 2
    theirs[4] = np.nan
    groups = np.repeat(np.arange(10), 5)
    gain, low, high = relative_gains(ours[:, None], theirs[:, None], groups=groups, resamples=200, seed=1)[0]
    kept = ~np.isnan(theirs)
    assert gain == pytest.approx(ours[kept].mean() / theirs[kept].mean() - 1)
    draws, ratios = np.random.default_rng(1), []
    for _ in range(200):
        rows = np.concatenate([np.flatnonzero(groups == place) for place in draws.integers(10, size=10)])
        rows = rows[kept[rows]]
        ratios.append(ours[rows].mean() / theirs[rows].mean() - 1)
    assert (low, high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])))
    assert np.isnan(relative_gains(np.ones((3, 1)), np.zeros((3, 1)))).all()
