"""What a search led to, by ranking or by what came after it, and whose it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from finetune.event_questions import STRENGTHS, next_questions, search_questions, together_questions
from finetune.examples import Question
from finetune.impressions import place_weights
from tasteline.ports import Shown
from tasteline.types import Event, EventType, Product

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ids = count()


def did(kind: str, minute: float | None, what: str | None = None, **fields: object) -> Event:
    name = "query" if kind == "search" else "product_id"
    time = None if minute is None else NOON + timedelta(minutes=minute)
    known = {"user_id": "ann", "session_id": "s", name: what, "time": time, **fields}
    return Event(f"e{next(_ids)}", EventType(kind), **known)  # type: ignore[arg-type]


def told(questions: list[Question]) -> list[tuple[str, str, str, float]]:
    return [(row.query, row.positive, row.origin, row.weight) for row in questions]


def test_a_purchase_counts_once_and_for_the_search_that_it_began_with() -> None:
    events = [
        did("search", 0, " steel  kettle"),
        did("view_item", 1, "p1"),
        did("search", 2, "mug"),
        did("select_item", 3, "p2"),
        did("add_to_cart", 4, "p1"),
        did("purchase", 5, "p1"),
    ]
    strongest = STRENGTHS[EventType.PURCHASE]
    rows = search_questions(events)
    assert told(rows) == [("steel kettle", "p1", "search_purchase", strongest), ("mug", "p2", "search_click", 1.0)]
    assert [(row.user_id, row.time) for row in rows] == [("ann", events[5].time), ("ann", events[3].time)]


def test_a_quoted_ranking_decides_whatever_came_between() -> None:
    events = [
        did("search", 0, "kettle", ranking_id="r1"),
        did("search", 1, "mug", ranking_id="r2"),
        did("select_item", 2, "p1", ranking_id="r1"),
        did("select_item", 3, "p9", ranking_id="home-page"),
    ]
    assert told(search_questions(events)) == [("kettle", "p1", "search_click", 1.0)]


def test_what_was_known_before_or_comes_too_late_is_no_answer() -> None:
    events = [
        did("view_item", 0, "p1"),
        did("search", 1, "kettle"),
        did("view_item", 2, "p1"),
        did("view_item", 40, "p2"),
        did("search", 41, ""),
        did("view_item", 42, "p3"),
    ]
    assert search_questions(events) == []


def test_people_and_sessions_are_kept_apart() -> None:
    events = [
        did("search", 0, "kettle"),
        did("view_item", 1, "p1", session_id="other"),
        did("view_item", 1, "p2", user_id="bob"),
        did("search", 0, "tent", user_id=None, session_id=None),
        did("view_item", 1, "p3", user_id=None, session_id=None),
        did("search", 5, "lamp", user_id=None, session_id="q"),
        did("view_item", 6, "p4", user_id=None, session_id="q"),
    ]
    (row,) = search_questions(events)
    assert (row.query, row.positive, row.user_id) == ("lamp", "p4", None)


def test_arrival_orders_what_has_no_time_and_time_what_arrived_late() -> None:
    untimed = [did("search", None, "kettle"), did("view_item", None, "p1")]
    assert [row.positive for row in search_questions(untimed)] == ["p1"]
    assert search_questions(untimed[::-1]) == []
    timed = [did("view_item", 1, "p1"), did("search", 0, "kettle")]
    assert [row.positive for row in search_questions(timed)] == ["p1"]


def test_a_basket_asks_for_each_other() -> None:
    titles = {"p1": "Kettle", "p2": "Mug"}
    events = [
        did("purchase", 0, "p1"),
        did("view_item", 1, "p3"),
        did("add_to_cart", 2, "p2"),
        did("purchase", 3, "p9"),
    ]
    rows = together_questions(events, titles)
    assert [(row.query, row.positive) for row in rows] == [("Kettle", "p2"), ("Mug", "p1")]
    assert {(row.origin, row.user_id, row.time) for row in rows} == {("together", "ann", events[2].time)}


def test_a_click_far_down_weighs_more() -> None:
    """Two thousand rankings of ten in changing order, looked at less and less: the clicks say so themselves."""
    rng = np.random.default_rng(0)
    liked = np.linspace(0.8, 0.3, 10)
    rankings, events = [], []
    for number in range(2_000):
        order = rng.permutation(10)
        name = f"r{number}"
        rankings.append(Shown(name, "ann", tuple(f"p{product}" for product in order)))
        events.append(did("search", 0, "Kettle", ranking_id=name, session_id=name))
        looked_at = rng.random(10) < 1 / (1 + np.arange(10))
        for product in order[looked_at & (rng.random(10) < liked[order])]:
            events.append(did("select_item", 1, f"p{product}", ranking_id=name, session_id=name))
    weight = place_weights(rankings, events)
    assert weight.corrected
    clicked = {(each.ranking_id, each.product_id) for each in events if each.product_id}
    by_place = {place: next(r for r in rankings if (r.ranking_id, r.product_ids[place]) in clicked) for place in (0, 4)}
    first, fifth = ((by_place[place].ranking_id, by_place[place].product_ids[place]) for place in (0, 4))
    assert weight(*first) == 1.0
    assert 3.5 < weight(*fifth) < 6.5
    assert weight("r0", "p77") == weight("unknown", "p1") == 1.0
    rows = search_questions(events, weight)
    assert max(row.weight for row in rows) > 5
    by_name = {(row.positive, row.weight) for row in search_questions(events)}
    assert {weight for _, weight in by_name} == {1.0}


def test_rankings_that_quote_no_search_correct_nothing() -> None:
    weight = place_weights([Shown("r1", None, ("p1", "p2"))], [did("select_item", 0, "p2", ranking_id="r1")])
    assert not weight.corrected
    assert weight("r1", "p2") == 1.0


def test_what_comes_next_is_asked_as_a_taste() -> None:
    products = {name: Product(name, title) for name, title in (("a", "Tent"), ("b", "Kettle"), ("c", "Lamp"))}
    events = [
        did("purchase", None, "a"),
        did("view_item", None, "c"),
        did("purchase", None, "b"),
        did("purchase", None, "a"),
        did("purchase", None, "c", user_id="bob"),
        did("add_to_cart", None, "c"),
        did("purchase", None, "gone"),
    ]
    questions, known = next_questions(events, products)
    assert [(q.query, q.positive, q.user_id) for q in questions] == [
        ("someone who bought: Tent", "b", "ann"),
        ("someone who bought: Kettle; Tent", "c", "ann"),
    ]
    assert known == {"someone who bought: Tent": {"a", "b"}, "someone who bought: Kettle; Tent": {"a", "b", "c"}}


def test_a_feed_that_comes_newest_first_asks_the_same() -> None:
    products = {name: Product(name, title) for name, title in (("a", "Tent"), ("b", "Kettle"), ("c", "Lamp"))}
    events = [did("purchase", minute, name) for minute, name in ((0, "a"), (5, "b"), (9, "c"), (11, "a"))]
    first, last = next_questions(events, products), next_questions(reversed(events), products)
    assert [(q.query, q.positive) for q in first[0]] == [(q.query, q.positive) for q in last[0]]
    assert first[1] == last[1]
