"""What a shop says of its things, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.models.bought import DAY, Bought
from retrieval.models.crowd import STEP_DAYS, THING_NAMES, Crowd


def crowd() -> Crowd:
    """Thing 0 every 10 days by all of 40 people, thing 1 once by half of them, 50 days ago; thing 2 never."""
    rows = [(person, 0, day) for person in range(40) for day in range(0, 100, 10)]
    rows += [(person, 1, 50) for person in range(20)]
    people, things, days = zip(*rows, strict=True)
    bought = Bought.of(people, things, [day * DAY for day in days], people_count=40, thing_count=3)
    return Crowd.of(bought, 100 * DAY)


def test_shares_and_gaps() -> None:
    found = {name: crowd().things[:, place].tolist() for place, name in enumerate(THING_NAMES)}
    assert found["buyers"] == pytest.approx([1, 0.5, 0])
    assert found["buyers_30"] == pytest.approx([1, 0, 0])
    assert found["again"] == pytest.approx([1, 0, 0])
    assert found["usual_gap"][0] == pytest.approx(10)
    assert np.isnan(found["usual_gap"][1:]).all()


def test_who_comes_back_when() -> None:
    back = crowd().returning
    assert back[0, 0] > 0.85  # nearly everybody is back within 30 days; the shop as a whole less
    assert back[1, 50 // STEP_DAYS] < 0.3  # nobody was, and few of the shop after so long
    assert ((back >= 0) & (back <= 1)).all()
    assert np.isnan(crowd().back_within(np.array([0]), np.array([np.nan], dtype=np.float32))).all()


def test_tastes_tell_people_apart_and_are_the_same_each_time() -> None:
    np.testing.assert_array_equal(crowd().tastes, crowd().tastes)
    nobody = Bought.of([], [], [], people_count=2, thing_count=3)
    assert not np.asarray(crowd().taste(nobody, 100 * DAY)).any()
