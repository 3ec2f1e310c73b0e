"""Figures of a rhythm, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.models.bought import DAY, Bought
from retrieval.models.rhythm import NAMES, rhythm


def figures(days: list[float], moment: float, since: float, others: list[float] | None = None) -> dict[str, float]:
    """Of one person and thing 0, bought on these days; thing 1 on `others`."""
    things = [0] * len(days) + [1] * len(others or [])
    times = [int(day * DAY) for day in [*days, *(others or [])]]
    bought = Bought.of([0] * len(times), things, times, people_count=1, thing_count=2)
    line = rhythm(bought, int(moment * DAY), np.array([0]), np.array([since]))[0]
    return dict(zip(NAMES, line.tolist(), strict=True))


def test_how_often_how_lately_how_regularly() -> None:
    found = figures([0, 10, 30], 36, 36, others=[32, 33])
    assert found["bought"] == 3
    assert found["bought_7"] == pytest.approx(0.5 ** (36 / 7) + 0.5 ** (26 / 7) + 0.5 ** (6 / 7))
    assert (found["last"], found["first"], found["gap"], found["last_gap"]) == (6, 36, 15, 20)
    assert found["gap_spread"] == pytest.approx(5)  # of 10 and 20 days
    assert found["due"] == pytest.approx(6 / 15)
    assert (found["baskets_since"], found["bought_since"]) == (2, 2)
    assert found["baskets_due"] == pytest.approx(2 * 3 / 5)
    assert (found["gaps_longer"], found["gaps_ended"]) == (2, 2)  # 10 and 20 are longer than 6 and end before 36
    assert found["months"] == pytest.approx(1 + 0.7)


def test_the_share_of_moments_that_a_purchase_followed() -> None:
    # bought on days 0 and 80: of the starts on days 0 to 60 those of days 0 to 50 see nothing within 30 days
    assert figures([0, 80], 90, 90)["covered"] == pytest.approx(1 - 50 / 60, abs=0.01)
    assert figures([0, 20, 40, 60, 80], 90, 90)["covered"] == pytest.approx(1, abs=0.01)
    assert figures([0], 100, 100)["covered"] == pytest.approx(0, abs=0.01)


def test_what_was_never_bought_has_no_times() -> None:
    found = figures([], 50, 50, others=[3, 9])
    assert (found["bought"], found["covered"], found["months"], found["gaps_longer"]) == (0, 0, 0, 0)
    assert all(np.isnan(found[name]) for name in ("last", "first", "gap", "due", "bought_since"))


def test_pairs_that_are_not_asked_about_are_left_out() -> None:
    bought = Bought.of([0, 1, 1], [1, 0, 1], [DAY, DAY, 2 * DAY], people_count=2, thing_count=2)
    lines = rhythm(bought, 3 * DAY, np.array([1, 2]), np.array([2.0, 2.0]))
    assert lines[:, NAMES.index("last")].tolist() == [2, 2]
    assert rhythm(bought, 3 * DAY, np.zeros(0, dtype=np.int64), np.zeros(0)).shape == (0, len(NAMES))
