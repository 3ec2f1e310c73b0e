from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tasteline.types import EventType

from .conftest import Shop

NOON = "2024-05-01T12:00:00Z"


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_csv_by_ga4_names(shop: Shop) -> None:
    report = shop.load(
        "e.csv",
        "event_id,event_name,user_id,session_id,item_id,search_term,timestamp,quantity,ranking_id\n"
        f"e1,view_item,u1,s1,p1,,{NOON},,r1\n"
        f"e2,search,,s1,,red mug,{NOON},,\n"
        f"e3,purchase,u1,,p1,,{NOON},2,\n",
    )
    view, search, purchase = shop.events
    assert report.formats == ("events-csv",)
    assert (view.id, view.type, view.user_id, view.session_id, view.product_id) == (
        "e1",
        EventType.VIEW_ITEM,
        "u1",
        "s1",
        "p1",
    )
    assert (view.time, view.position, view.quantity) == (datetime(2024, 5, 1, 12, tzinfo=UTC), None, 1)
    assert view.ranking_id == "r1"
    assert (search.type, search.query, search.user_id) == (EventType.SEARCH, "red mug", None)
    assert (purchase.quantity, purchase.session_id) == (2, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("view", "view_item"),
        ("cart", "add_to_cart"),
        ("Add To Cart", "add_to_cart"),
        ("order", "purchase"),
        ("click", "select_item"),
    ],
)
def test_other_words_for_the_same_acts(shop: Shop, name: str, kind: str) -> None:
    shop.load("e.csv", f"event,user,sku,time\n{name},u,p,{NOON}\n")
    assert shop.events[0].type == kind


def test_an_event_with_items_becomes_one_for_each(shop: Shop) -> None:
    row = {
        "event_name": "purchase",
        "user_pseudo_id": "c.1",
        "event_timestamp": 1714564800000000,
        "event_params": [{"key": "ga_session_id", "value": {"string_value": None, "int_value": 77}}],
        "items": [{"item_id": "p1", "quantity": 2}, {"item_id": "p2"}, {"item_name": "no id"}],
    }
    report = shop.load("e.jsonl", lines(row))
    assert (report.events.accepted, report.events.rejected) == (2, 1)
    first, second = shop.events
    assert [(event.product_id, event.quantity) for event in (first, second)] == [("p1", 2), ("p2", 1)]
    assert first.id.removesuffix(":0") == second.id.removesuffix(":1")
    assert (first.user_id, first.session_id) == ("c.1", "77")
    assert first.time == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert shop.rejects[0]["field"] == "product_id"


def test_measurement_protocol_parameters(shop: Shop) -> None:
    row = {
        "name": "add_to_cart",
        "client_id": "c",
        "event_id": "e",
        "timestamp_micros": "1714564800000000",
        "params": {"items": [{"item_id": "p"}], "session_id": 5},
    }
    shop.load("e.jsonl", lines(row))
    (event,) = shop.events
    assert (event.id, event.product_id, event.session_id) == ("e:0", "p", "5")


def test_an_id_is_made_of_the_content_so_that_overlapping_logs_add_nothing(shop: Shop) -> None:
    rows = [f"view,u{number},p,{NOON}\n" for number in range(10)]
    head = "event,user,sku,time\n"
    first = shop.load("monday.csv", head + "".join(rows[:7]))
    second = shop.load("tuesday.csv", head + "".join(rows[4:]) + rows[9])
    assert first.events.accepted == 7
    assert (second.events.accepted, second.events.repeated) == (3, 4)
    assert second.events.rows == 7


def test_rows_without_any_time_are_ordered_by_their_line(shop: Shop) -> None:
    shop.load("e.csv", "event,user_id,item_id\nview,u,a\nview,u,b\n")
    assert [(event.time, event.position) for event in shop.events] == [(None, 2), (None, 3)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event": "page_view"}, "event"),
        ({"event": None}, "event"),
        ({"user_id": ""}, "user_id"),
        ({"item_id": None}, "product_id"),
        ({"event": "search"}, "query"),
        ({"event": "search", "query": "q" * 1001}, "query"),
        ({"time": "noon"}, "time"),
        ({"time": "2099-01-01T00:00:00Z"}, "time"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 10**7}, "quantity"),
        ({"user_id": "u\u0000"}, "user_id"),
        ({"item_id": 1.5}, "product_id"),
    ],
)
def test_a_bad_event_is_a_reject_with_its_field(shop: Shop, change: dict[str, object], field: str) -> None:
    good = {"event": "view_item", "user_id": "u", "item_id": "p", "time": NOON, "quantity": 1}
    report = shop.load("e.jsonl", lines(good, good | change))
    assert (report.events.accepted, report.events.rejected) == (1, 1)
    assert (shop.rejects[0]["line"], shop.rejects[0]["field"]) == (2, field)


def test_an_unknown_event_is_told_the_known_ones(shop: Shop) -> None:
    shop.load("e.csv", f"event,user,sku,time\npage_view,u,p,{NOON}\n")
    assert all(kind in shop.rejects[0]["reason"] for kind in ("'page_view'", "view_item", "purchase", "search"))
