"""Rates of people and a test that may be looked at any time: worked by hand, and by simulation."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from eval.metrics.sequential import LEAST_PEOPLE, Rate, compare, rate_of

PEOPLE, EVERY, EXPERIMENTS = 4_000, 200, 200
EXPECTED = 0.02


def test_a_rate_and_its_variance_by_hand() -> None:
    rate = rate_of([2, 1, 1], [1, 1, 0])
    # Residuals s - R n: 1 - 1, 1 - .5, 0 - .5; their squares sum to .5; over 4 squared, times 3 / 2.
    assert rate == Rate(people=3, shown=4, acted=2, value=0.5, variance=0.5 / 16 * 1.5, enough=False)
    low, high = rate.interval()
    assert (low + high) / 2 == pytest.approx(0.5)
    assert high - low == pytest.approx(2 * 1.959964 * math.sqrt(rate.variance))


def test_one_ranking_each_is_the_variance_of_a_share() -> None:
    rate = rate_of([1] * 100, [1] * 30 + [0] * 70)
    assert rate.variance == pytest.approx(0.3 * 0.7 / 99)
    assert rate.enough


def test_what_one_person_does_again_and_again_says_less_than_as_many_people() -> None:
    one_each = rate_of([1] * 1_000, [1] * 300 + [0] * 700)
    ten_each = rate_of([10] * 100, [10] * 30 + [0] * 70)
    assert ten_each.value == one_each.value
    assert ten_each.variance > 9 * one_each.variance


@pytest.mark.parametrize(("shown", "acted"), [([], []), ([0, 0], [0, 0]), ([1], [1])])
def test_too_little_is_no_number_and_no_alarm(shown: list[int], acted: list[int]) -> None:
    little, known = rate_of(shown, acted), rate_of([1] * 400, [1, 0] * 200)
    assert math.isnan(little.variance)
    found = compare(known, little, EXPECTED)
    assert (found.p, found.interval) == (1.0, (-math.inf, math.inf))


def test_an_event_too_rare_to_be_normal_is_no_alarm() -> None:
    nobody, everybody = rate_of([1] * 5_000, [0] * 5_000), rate_of([1] * 5_000, [1] * 5_000)
    assert compare(nobody, everybody, EXPECTED).p == 1.0
    assert not rate_of([1] * (LEAST_PEOPLE - 1), [1, 0] * 24 + [1]).enough


def test_the_p_value_and_the_interval_by_hand() -> None:
    a, b = (Rate(1_000, 1_000, 1, value, 0.0001, True) for value in (0.10, 0.16))
    found = compare(a, b, expected=0.02)
    v, t = 0.0002, 0.0004
    ratio = math.sqrt(v / (v + t)) * math.exp(t * 0.06**2 / (2 * v * (v + t)))
    assert found.p == pytest.approx(1 / ratio)
    reach = math.sqrt(v * (v + t) / t * math.log((v + t) / (v * 0.05**2)))
    assert found.interval == pytest.approx((0.06 - reach, 0.06 + reach))


@pytest.mark.parametrize("difference", [0.01, 0.03, 0.05, 0.08])
def test_the_interval_leaves_out_nothing_where_the_test_says_so(difference: float) -> None:
    a, b = (Rate(1_000, 1_000, 1, value, 0.0001, True) for value in (0.2, 0.2 + difference))
    found = compare(a, b, EXPECTED)
    assert (found.p <= 0.05) == (found.interval[0] > 0)


def looks(effect: float, seed: int, experiments: int = EXPERIMENTS) -> tuple[np.ndarray, np.ndarray]:
    """Of many experiments in which somebody looks after each 200 people: was there an alarm, by ours and by a z-test.

    People differ: how many rankings each gets, and how often each clicks.
    """
    rng = np.random.default_rng(seed)
    ours, naive = np.zeros(experiments, dtype=bool), np.zeros(experiments, dtype=bool)
    for experiment in range(experiments):
        shown = 1 + rng.poisson(2, (2, PEOPLE))
        taste = rng.beta(1, 9, (2, PEOPLE))
        taste[1] = np.minimum(1, taste[1] * (1 + effect))
        acted = rng.binomial(shown, taste)
        for until in range(EVERY, PEOPLE + 1, EVERY):
            a, b = (rate_of(shown[arm, :until], acted[arm, :until]) for arm in (0, 1))
            ours[experiment] |= compare(a, b, EXPECTED).p <= 0.05
            z = abs(b.value - a.value) / math.sqrt(a.variance + b.variance)
            naive[experiment] |= 2 * NormalDist().cdf(-z) <= 0.05
    return ours, naive


def test_looking_all_the_time_raises_few_false_alarms_where_an_ordinary_test_raises_many() -> None:
    ours, naive = looks(effect=0.0, seed=1)
    assert ours.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)
    assert naive.mean() > 0.15


def test_a_difference_worth_having_is_found() -> None:
    ours, _ = looks(effect=0.3, seed=2, experiments=60)  # .10 → .13
    assert ours.mean() > 0.9


def test_with_clicks_of_a_person_counted_as_if_of_many_it_would_cry_wolf() -> None:
    """Why rates are clustered: the same data, every ranking a person of its own."""
    rng = np.random.default_rng(3)
    alarms = []
    for _ in range(60):
        taste = rng.beta(0.2, 1.8, (2, 300))
        acted = rng.binomial(20, taste)
        each = [np.concatenate([np.repeat([1, 0], [clicks, 20 - clicks]) for clicks in arm]) for arm in acted]
        a, b = (rate_of(np.ones(len(arm)), arm) for arm in each)
        alarms.append(compare(a, b, EXPECTED).p <= 0.05)
    assert np.mean(alarms) > 0.2
