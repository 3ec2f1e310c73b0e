"""Shares over time."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.interests import interests
from retrieval.seasons import season_of
from retrieval.steps import steps_of
from retrieval.timeline import MOST_MOMENTS, Timeline
from retrieval.topics import Topic
from retrieval.turning import timeline_of
from tasteline.types import Event
from tests.unit.retrieval.small_shop import event
from tests.unit.retrieval.turns import PRODUCTS, START, turned, visit

KNOWN = {product.id: product for product in PRODUCTS}
TOPICS = {p.id: Topic(p.categories[-1], p.categories[0]) for p in PRODUCTS}


def told(history: Sequence[Event]) -> Timeline:
    return timeline_of(steps_of(history), TOPICS)


def test_nobody_has_no_timeline() -> None:
    assert told([]).moments == ()
    assert told([event("anna", "gone")]).topics == ()


steps = st.lists(
    st.tuples(
        st.sampled_from([p.id for p in PRODUCTS]),
        st.sampled_from(["view_item", "add_to_cart", "purchase", "remove_from_cart"]),
        st.floats(0, 200),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(steps, st.booleans())
def test_the_last_moment_is_the_interests_of_now(drawn: list[tuple[str, str, float]], timed: bool) -> None:
    drawn = sorted(drawn, key=lambda step: step[2])
    history = [
        event("anna", pid, kind, time=START + timedelta(days=day) if timed else None) for pid, kind, day in drawn
    ]
    lines = {line.topic: line for line in told(history).topics}
    for interest in interests(history, KNOWN.get):
        line = lines[interest.topic]
        assert line.short_term[-1] == pytest.approx(interest.short_term, abs=1e-9)
        assert line.long_term[-1] == pytest.approx(interest.long_term, abs=1e-9)
        assert line.trend in (interest.trend, "seasonal")


@settings(deadline=None)
@given(steps)
def test_shares_are_shares(drawn: list[tuple[str, str, float]]) -> None:
    history = [
        event("anna", pid, kind, time=START + timedelta(days=day))
        for pid, kind, day in sorted(drawn, key=lambda s: s[2])
    ]
    timeline = told(history)
    assert len(timeline.moments) <= MOST_MOMENTS
    for moment in range(len(timeline.moments)):
        assert sum(line.short_term[moment] for line in timeline.topics) <= 1 + 1e-9
        assert sum(line.long_term[moment] for line in timeline.groups or timeline.topics) <= 1 + 1e-9


def test_a_moment_knows_only_what_came_before_it() -> None:
    history = turned(before=20, after=20, every=5)
    whole, half = told(history), told(history[:40])
    kettles = next(line for line in whole.topics if line.topic == "Kettles")
    tents = next(line for line in whole.topics if line.topic == "Tents")
    begin = next(place for place, share in enumerate(tents.long_term) if share > 0)
    assert whole.unit == "week"
    assert kettles.long_term[begin - 1] == pytest.approx(0.5, abs=0.05)
    assert {line.topic for line in half.topics} == {"Kettles", "Pans"}
    assert tents.long_term[-1] > kettles.long_term[-1]
    assert tents.first_seen == START + timedelta(days=100)


@pytest.mark.parametrize(("days", "unit"), [(0.1, "step"), (20, "day"), (200, "week"), (1000, "month"), (4000, "year")])
def test_moments_are_few_and_end_with_the_newest_event(days: float, unit: str) -> None:
    timeline = told([*visit(0, "tent"), *visit(days / 2, "pan"), *visit(days, "tent")])
    assert timeline.unit == unit
    assert timeline.moments[-1].time == START + timedelta(days=days)
    assert timeline.moments[-1].step == 3


def test_groups_are_the_broader_topics() -> None:
    timeline = told(turned())
    assert [line.topic for line in timeline.groups] == ["Outdoor", "Kitchen"]
    assert {line.broad for line in timeline.topics} == {"Outdoor", "Kitchen"}


def years(first: float, *again: float, others: bool = True) -> list[Event]:
    """Tents at some days, and every two weeks something else."""
    days = [(day + extra, "tent") for day in (first, *again) for extra in range(6)]
    days += [(day, "pan") for day in range(0, 800, 7)] if others else [(5, "pan"), (395, "pan"), (400, "pan")]
    return [e for day, pid in sorted(days) for e in visit(day, pid)]


def trend_of_tents(history: list[Event]) -> str:
    return next(line.trend for line in told(history).topics if line.topic == "Tents")


def test_two_returns_at_the_same_distance_are_a_season() -> None:
    history = years(40, 410, 770)
    line = next(line for line in told(history).topics if line.topic == "Tents")
    assert line.trend == "seasonal"
    assert line.season is not None
    assert line.season.every_days == pytest.approx(365, abs=10)
    assert len(line.season.returns) == 3
    assert line.season.awake


def test_one_return_is_none_nor_are_uneven_ones_nor_those_of_a_rare_guest() -> None:
    assert trend_of_tents(years(40, 410)) != "seasonal"
    assert trend_of_tents(years(40, 200, 770)) != "seasonal"
    assert trend_of_tents(years(40, 240, 440)) != "seasonal"  # evenly, but not by the year
    assert trend_of_tents(years(40, 410, 770, others=False)) != "seasonal"


def test_a_history_without_times_has_no_seasons() -> None:
    steps = steps_of([event("anna", "tent") for _ in range(9)])
    assert season_of(steps, steps.products) is None
