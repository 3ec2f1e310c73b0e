"""What follows what: a planted order is found in its direction, chance and habits are not."""

from __future__ import annotations

from math import sqrt

import numpy as np

from retrieval.insights.follows import DAYS, MEMORY, follows
from retrieval.insights.movements import ALARMS

from .made_acts import Act, acts

TOPICS = 8


def wandering(rng: np.random.Generator, people: int, days: int = 300) -> list[Act]:
    """Everybody turns to some topic every ten days or so, whichever."""
    return [
        (person, int(rng.integers(0, TOPICS)), int(age))
        for person in range(people)
        for age in rng.choice(days, days // 10, replace=False)
    ]


def test_a_planted_order_is_found_with_its_days() -> None:
    rng = np.random.default_rng(2)
    rows = wandering(rng, 80)
    for person in range(40):  # some day topic 8, five days later topic 9, in nobody's life otherwise
        day = int(rng.integers(40, 230))
        rows += [(person, TOPICS, day), (person, TOPICS + 1, day - 5)]
    [found] = follows(acts(rows, TOPICS + 2), 5)
    assert (found.before, found.after) == (TOPICS, TOPICS + 1)
    assert (found.steps, found.shoppers) == (40, 40)
    assert found.days == 5
    assert found.confidence == 1
    assert found.lift > 3 > found.reverse_lift
    assert found.q <= 0.05


def test_the_reverse_is_not_told() -> None:
    rows = wandering(np.random.default_rng(4), 80)
    rows += [(p, topic, 100 - 5 * (topic == TOPICS)) for p in range(40) for topic in (TOPICS, TOPICS + 1)]
    [found] = follows(acts(rows, TOPICS + 2), 5)
    assert (found.before, found.after) == (TOPICS + 1, TOPICS)


def test_chance_is_told_as_rarely_as_stated() -> None:
    rng, shops = np.random.default_rng(0), 80
    alarms = sum(bool(follows(acts(wandering(rng, 120), TOPICS), 5)) for _ in range(shops))
    assert alarms / shops <= ALARMS + 2 * sqrt(ALARMS * (1 - ALARMS) / shops)


def test_habits_follow_nothing() -> None:
    """Everybody buys one thing every four weeks, three days after another: it is no news."""
    habit = [
        (p, topic, 28 * month + 3 * (1 - topic) + p % 7) for p in range(60) for month in range(11) for topic in (0, 1)
    ]
    others = [(p, 2 + (p + week) % 3, 7 * week + 1) for p in range(60) for week in range(44)]
    assert follows(acts([*habit, *others], 5), 5) == []
    assert DAYS < MEMORY


def test_of_both_directions_the_stronger_one_is_told() -> None:
    rng = np.random.default_rng(8)
    rows = wandering(rng, 120)
    for person in range(60):  # forty people one way, twenty the other
        day, back = int(rng.integers(40, 230)), person >= 40
        rows += [(person, TOPICS + back, day), (person, TOPICS + 1 - back, day - 5)]
    [found] = follows(acts(rows, TOPICS + 2), 5)
    assert (found.before, found.after, found.shoppers) == (TOPICS, TOPICS + 1, 40)
    assert found.lift > found.reverse_lift > 1.2


def test_steps_of_few_people_are_not_shown() -> None:
    rows = wandering(np.random.default_rng(6), 80)
    rows += [(p, topic, 100 - 5 * (topic == TOPICS)) for p in range(4) for topic in (TOPICS, TOPICS + 1)]
    assert follows(acts(rows, TOPICS + 2), 5) == []
