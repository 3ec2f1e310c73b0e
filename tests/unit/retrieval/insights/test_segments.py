"""Segments: planted groups are found whole, named by what stands out, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from retrieval.insights.segments import _standing, segment

from .made_acts import Act, acts

EVERYBODYS = 9


def three_groups(rng: np.random.Generator, sizes: tuple[int, ...] = (60, 40, 20)) -> list[Act]:
    """Group g turns to topics 3g to 3g + 2, and everybody to topic 9."""
    rows: list[Act] = []
    person = 0
    for group, size in enumerate(sizes):
        for _ in range(size):
            chosen = 3 * group + rng.integers(0, 3, 12)
            rows += [(person, int(topic), int(rng.integers(0, 150))) for topic in (*chosen, EVERYBODYS)]
            person += 1
    return rows


def test_planted_groups_are_found() -> None:
    found = segment(acts(three_groups(np.random.default_rng(0)), 10), 5)
    assert [each.people for each in found.segments] == [60, 40, 20]
    assert [len(set(found.of_person[part])) for part in (slice(60), slice(60, 100), slice(100, 120))] == [1, 1, 1]
    for number, each in enumerate(found.segments):
        topics = {standing.topic for standing in each.stands_out}
        assert topics == {3 * number, 3 * number + 1, 3 * number + 2}
        assert all(standing.share > 0.9 and standing.elsewhere is None for standing in each.stands_out)
    assert found.silhouette > 0.3


def test_it_is_the_same_each_time() -> None:
    made = acts(three_groups(np.random.default_rng(1)), 10)
    first, second = segment(made, 5), segment(made, 5)
    assert first.of_person.tolist() == second.of_person.tolist()


def test_small_groups_are_dissolved_and_few_people_have_none() -> None:
    rows = three_groups(np.random.default_rng(2), (60, 40, 4))
    found = segment(acts(rows, 10), 5)
    assert min(each.people for each in found.segments) >= 5
    assert segment(acts(three_groups(np.random.default_rng(3), (3, 2)), 10), 5).segments == ()


def test_what_too_few_people_turn_to_is_in_no_figure() -> None:
    """16 in the segment, 60 others: multiplied out, no share gives fewer than the fewest."""
    turned = np.zeros((76, 4))
    turned[:16, 0] = turned[:4, 1] = turned[:6, 2] = turned[:9, 3] = 1
    turned[16:20, 2] = turned[16:21, 3] = 1
    inside = np.arange(76) < 16
    found = _standing(sparse.csr_matrix(turned), inside, 5)
    assert [(one.topic, one.elsewhere) for one in found] == [(0, None), (3, 5 / 60), (2, None)], "four are a quarter"


def test_shares_are_of_those_in_a_segment() -> None:
    found = segment(acts(three_groups(np.random.default_rng(2), (60, 40, 4)), 10), 5)
    assert sum(each.share for each in found.segments) == pytest.approx(1)


def test_people_with_little_history_have_no_segment() -> None:
    rows = [*three_groups(np.random.default_rng(4)), (120, 0, 3), (121, 1, 400)]
    of_person = segment(acts(rows, 10), 5).of_person
    assert of_person[120] == of_person[121] == -1
    assert (of_person[:120] >= 0).all()
