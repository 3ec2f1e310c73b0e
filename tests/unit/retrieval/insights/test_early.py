"""Early signs: small, growing week after week, of different people; and no more false alarms than stated."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pytest

from retrieval.insights.acts import Acts
from retrieval.insights.early import WEEKS, early_signs
from retrieval.insights.movements import ALARMS

from .made_acts import Act, acts


def steady(topics: int = 5, people: int = 100) -> Iterator[Act]:
    for person in range(people):
        for week in range(WEEKS):
            yield (person, (person + week) % topics, 7 * week + 3)


def growing(topic: int, numbers: list[int], first: int = 0) -> Iterator[Act]:
    """Different people each week, oldest week first."""
    for week, number in enumerate(numbers):
        for person in range(number):
            yield (first + 10 * week + person, topic, 7 * (WEEKS - 1 - week) + 1)


def test_a_small_topic_that_gains_people_every_week() -> None:
    numbers = [1, 1, 1, 2, 4, 5, 7, 9]
    [sign] = early_signs(acts([*steady(), *growing(5, numbers)], 6), 5)
    assert sign.topic == 5
    assert sign.shoppers == 25
    assert sign.weeks_up == 5
    assert sign.accelerating
    exposure = [100 + number for number in numbers]
    shares = [number / pairs for number, pairs in zip(numbers, exposure, strict=True)]
    assert sign.growth == pytest.approx(sum(shares[4:]) / sum(shares[:4]))
    assert sign.q <= ALARMS


def test_one_heavy_shopper_is_no_sign() -> None:
    heavy = [(3, 5, 7 * (WEEKS - 1 - week) + day % 7) for week in range(WEEKS) for day in range(week * 20)]
    assert early_signs(acts([*steady(), *heavy], 6), 5) == []


def test_large_topics_and_single_weeks_are_none() -> None:
    large = growing(5, [20, 24, 28, 32, 40, 48, 60, 80])
    assert early_signs(acts([*steady(topics=12), *large], 13), 5) == []
    burst = growing(5, [1, 1, 1, 1, 1, 1, 1, 20])
    assert early_signs(acts([*steady(), *burst], 6), 5) == []


def test_topics_that_are_told_elsewhere_are_left_out() -> None:
    made = acts([*steady(), *growing(5, [1, 1, 1, 2, 4, 5, 7, 9])], 6)
    assert early_signs(made, 5, known={5}) == []


def test_too_short_a_history() -> None:
    assert early_signs(acts([(person, 0, 3) for person in range(20)], 1), 5) == []


def quiet_shop(rng: np.random.Generator) -> Acts:
    popular = rng.dirichlet(np.full(30, 0.5))
    rows = []
    for person in range(200):
        number = 1 + rng.poisson(rng.gamma(0.8, 12))
        chosen, ages = rng.choice(30, number, p=rng.dirichlet(8 * popular + 0.01)), rng.integers(0, 56, number)
        rows += [(person, int(topic), int(age)) for topic, age in zip(chosen, ages, strict=True)]
    return acts(rows, 30)


def test_without_a_trend_there_is_hardly_ever_a_sign() -> None:
    rng, shops = np.random.default_rng(5), 150
    alarms = sum(bool(early_signs(quiet_shop(rng), 5)) for _ in range(shops))
    assert alarms / shops <= ALARMS + 2 * sqrt(ALARMS * (1 - ALARMS) / shops)
