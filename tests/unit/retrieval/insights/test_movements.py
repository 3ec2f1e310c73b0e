"""Rising and falling: values worked by hand, one shopper one vote, and no more false alarms than stated."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from retrieval.insights.acts import Acts
from retrieval.insights.movements import ALARMS, Counts, Movement, adjusted, asked, by_step, movements, windows

from .made_acts import Act, acts


def steady(people: int, topics: int = 3) -> Iterator[Act]:
    """Everybody turns to all of the first `topics` but one, in both windows: nothing moves."""
    for person in range(people):
        for topic in range(topics):
            if person % topics != topic:
                yield from ((person, topic, 3), (person, topic, 31))


def moved(made: Acts, fewest: int = 5) -> list[Movement]:
    return movements(windows(made, 28), fewest)


def test_a_rise_worked_by_hand() -> None:
    # Of 60 people 20 turn to topic 3 now and 2 of these did before; all are in both windows.
    rows = [*steady(60), *((person, 3, 5) for person in range(20)), *((person, 3, 40) for person in range(2))]
    made = acts(rows, 4)
    [rise] = moved(made)
    assert (rise.topic, rise.direction) == (3, "rising")
    assert (rise.now.shoppers, rise.before.shoppers) == (20, 2)
    assert (rise.now.share, rise.before.share) == (pytest.approx(1 / 3), pytest.approx(1 / 30))
    assert rise.expected == pytest.approx(1 / 30)  # the others turned to as many topics as before
    assert rise.extra == pytest.approx(18)
    assert rise.change == pytest.approx(9)
    assert rise.now.attention == pytest.approx(20 / 140)
    assert rise.before.attention == pytest.approx(2 / 122)
    # With all people in both windows, by hand: the variance under "no change" of the difference of shares.
    same, together = 22 / 120, 2 - 20 / 60 * 2
    variance = 2 * same * (1 - same) / 60 - 2 * together / 60**2
    z = (18 / 60 - 1 / 60) / sqrt(variance)
    assert rise.p == pytest.approx(2 * stats.norm.sf(z))
    assert rise.q == pytest.approx(4 * rise.p)  # the smallest of four


def test_a_fall_is_the_same_the_other_way_round() -> None:
    rows = [*steady(60), *((person, 3, 40) for person in range(20)), *((person, 3, 5) for person in range(2))]
    [fall] = moved(acts(rows, 4))
    assert (fall.direction, fall.topic) == ("falling", 3)
    assert fall.extra == pytest.approx(-18)
    assert fall.change == pytest.approx(-0.9)


def test_one_heavy_shopper_is_no_trend() -> None:
    rows = [*steady(60), *((7, 3, age) for age in range(28) for _ in range(50))]
    assert moved(acts(rows, 4)) == []


def test_more_of_everything_is_no_rise() -> None:
    """Everybody looks at twice as many topics as before: interests have not moved."""
    rng = np.random.default_rng(3)
    rows = []
    for person in range(400):
        rows += [(person, int(topic), 35) for topic in rng.choice(20, 3, replace=False)]
        rows += [(person, int(topic), 7) for topic in rng.choice(20, 6, replace=False)]
    assert moved(acts(rows, 20)) == []


def test_weekdays_do_not_matter_because_windows_are_whole_weeks() -> None:
    """A topic of Saturdays: as many of them in both windows."""
    rows = [*steady(60), *((person, 3, age) for person in range(30) for age in (2, 9, 16, 23, 30, 37, 44, 51))]
    assert moved(acts(rows, 4)) == []


def test_few_people_are_never_told() -> None:
    rows = [*steady(12), *((person, 3, 5) for person in range(9))]
    assert [each.topic for each in moved(acts(rows, 4), fewest=5)] == [3]
    assert moved(acts(rows, 4), fewest=10) == []


def test_adjusted_values_of_benjamini_and_hochberg() -> None:
    """The example of their paper (1995, section 3.2): four of fifteen at 5 %."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    q = adjusted(np.array([*p, np.nan]))
    assert (q[:-1] <= 0.05).sum() == 4
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert np.isnan(q[-1])


def shop_without_trend(rng: np.random.Generator, people: int = 300, topics: int = 40) -> Acts:
    """People with lasting tastes and very different zeal, who come by chance in both windows alike."""
    popular = rng.dirichlet(np.full(topics, 0.4))
    rows = []
    for person in range(people):
        taste = rng.dirichlet(5 * popular + 0.01)
        number = 1 + rng.poisson(rng.gamma(0.8, 10))
        chosen, ages = rng.choice(topics, number, p=taste), rng.integers(0, 56, number)
        rows += [(person, int(topic), int(age)) for topic, age in zip(chosen, ages, strict=True)]
    return acts(rows, topics)


def test_without_a_trend_false_alarms_are_as_rare_as_stated() -> None:
    """Where nothing moves every alarm is false, so that the false discovery rate is the share of shops with one."""
    rng = np.random.default_rng(7)
    shops, alarms, small, tests = 200, 0, 0, 0
    for _ in range(shops):
        made = shop_without_trend(rng)
        p = asked(Counts.of(windows(made, 28)), 5, None).p
        alarms += bool((adjusted(p) <= ALARMS).any())
        small += int((p <= 0.05).sum())
        tests += int((~np.isnan(p)).sum())
    assert alarms / shops <= ALARMS + 2 * sqrt(ALARMS * (1 - ALARMS) / shops)
    assert small / tests <= 0.05
    assert small / tests >= 0.01, "so careful that it would tell nothing"


def test_a_planted_rise_is_found_among_many_topics() -> None:
    rng = np.random.default_rng(11)
    made = shop_without_trend(rng)
    table = made.table.rows()
    planted = [(row[0], row[1], row[4]) for row in table] + [(person, 40, person % 28) for person in range(25)]
    found = moved(acts(planted, 41))
    assert [each.topic for each in found] == [40]


def test_shoppers_by_step() -> None:
    counted, everybody = by_step(acts([(0, 0, 0), (0, 0, 6), (1, 0, 7), (1, 1, 13), (2, 1, 14)], 2), 2, 7)
    assert counted.tolist() == [[1, 1], [1, 0]]
    assert everybody.tolist() == [1, 1]
