"""The desk: computed once, kept, made anew behind who asks; at once after an erasure; small groups stay hidden."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.deed_log import DeedLog
from retrieval.insights.desk import InsightsDesk
from retrieval.insights.findings import View
from retrieval.insights.view import view_of
from tasteline.errors import DeadlineExceeded
from tasteline.types import Event, EventType, Price, Product

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
KETTLES = [Product(f"kettle{n}", f"Kettle {n}", categories=("Kitchen", "Kettles"), stock=n) for n in range(2)]
TENTS = [Product("tent", "Tent", categories=("Outdoor", "Tents"), price=Price(9900, "USD"))]
LAMPS = [Product("lamp", "Lamp", categories=("Home", "Lamps"))]
CATALOGUE = [*KETTLES, *TENTS, *LAMPS]


def act(user: str, product: str, days: float, kind: EventType = EventType.VIEW_ITEM) -> Event:
    return Event(f"{user}-{product}-{days}", kind, user, product_id=product, time=NOW - timedelta(days=days))


def history() -> Iterator[Event]:
    """Forty people who look at lamps all the time; kettles come up, tents go out; four others want one thing."""
    for number in range(40):
        for days in (3, 12, 33, 47):
            yield act(f"u{number}", "lamp", days)
        if number < 24:
            yield act(f"u{number}", "kettle0", 5)
            yield act(f"u{number}", "tent", 40)
    yield act("u30", "kettle0", 45)
    yield act("u31", "tent", 2)
    yield act("u39", "lamp", 0)


@pytest.fixture
def store() -> SqlStore:
    opened = SqlStore("sqlite://")
    opened.put_products(CATALOGUE)
    opened.append_events(list(history()))
    return opened


@pytest.fixture
def desk(store: SqlStore) -> Iterator[InsightsDesk]:
    made = InsightsDesk(DeedLog(store), lambda: CATALOGUE, fewest=5, rest=3600)
    yield made
    made.close()


def rising(view: View) -> list[str]:
    return [turn.topic[-1] for turn in view.turns if turn.direction == "rising"]


def test_it_tells_what_rises_and_falls_and_what_to_do(desk: InsightsDesk) -> None:
    view = desk.view(28, 60).view
    assert rising(view) == ["Kettles"]
    assert [turn.topic[-1] for turn in view.turns if turn.direction == "falling"] == ["Tents"]
    kettles, tents = view.turns
    assert (view.shoppers, view.shoppers_before, view.as_of) == (40, 40, NOW)
    assert (kettles.shoppers, kettles.shoppers_before) == (24, None), "one person is not shown"
    assert (tents.shoppers, tents.shoppers_before) == (None, 24)
    assert [wanted.title for wanted in kettles.wanted] == ["Kettle 0"]
    assert kettles.action.kind == "restock"
    assert "Kettle 0" in kettles.action.text
    assert "Fewer than 5 shoppers" in tents.action.because


def test_figures_in_the_words_are_those_of_the_finding(desk: InsightsDesk, store: SqlStore) -> None:
    store.append_events([act(f"u{number}", "kettle0", 45) for number in range(31, 37)])
    turns = desk.view(28, 60).view.turns
    assert [turn.change is None for turn in turns] == [False, True]
    for turn in turns:
        said = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?! %)\b", turn.action.because)}
        known = {turn.shoppers, 28, 5}
        if turn.change is not None and turn.expected is not None:
            known |= {round(turn.expected * 40), round(100 * abs(turn.change))}
            known |= {int(part) for part in f"{1 + turn.change:.1f}".split(".")}
        assert said <= known, (turn.action.because, known)


def test_small_windows_for_large_shops_only(desk: InsightsDesk) -> None:
    assert desk.view(None, 60).view.days == 91


def test_it_is_computed_once_and_says_its_age(desk: InsightsDesk, store: SqlStore) -> None:
    first = desk.view(28, 60)
    store.append_events([act(f"u{number}", "tent", 1) for number in range(40)])
    second = desk.view(28, 60)
    assert second.view is first.view
    assert second.computed_at == first.computed_at
    assert second.age_seconds >= first.age_seconds >= 0
    assert not second.is_renewed


def test_when_it_is_old_a_newer_one_is_made_behind(store: SqlStore) -> None:
    desk = InsightsDesk(DeedLog(store), lambda: CATALOGUE, fewest=5, rest=0)
    first = desk.view(28, 60)
    store.append_events([act(f"u{number}", "tent", 1) for number in range(24)])
    second = desk.view(28, 60)
    assert second.is_renewed
    assert second.view is first.view
    made = desk._making[28].result(60).view
    desk.close()
    assert rising(made) == ["Kettles"]
    assert [turn.topic[-1] for turn in made.turns] == ["Kettles"], "tents have come back"


def test_who_is_erased_is_gone_from_the_very_next_view(desk: InsightsDesk, store: SqlStore) -> None:
    assert desk.view(28, 60).view.people == 40
    for number in range(20):
        store.erase_user(f"u{number}")
    view = desk.view(28, 60).view
    assert view.people == 20
    assert all((turn.shoppers or 0) <= 20 for turn in view.turns)
    assert "u7" not in str(asdict(view))


def test_who_asks_after_an_erasure_gets_no_view_that_was_begun_before_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, erased = threading.Event(), threading.Event()

    def slow(*asked: Any) -> View:
        begun.set()
        assert erased.wait(60)
        return view_of(*asked)

    monkeypatch.setattr("retrieval.insights.desk.view_of", slow)
    desk = InsightsDesk(DeedLog(store), lambda: CATALOGUE, fewest=5, rest=3600)
    with pytest.raises(DeadlineExceeded):
        desk.view(28, 0.0)
    assert begun.wait(60), "it has read what everybody did"
    store.erase_user("u3")
    threading.Timer(0.3, erased.set).start()  # by then the next question waits
    assert desk.view(28, 60).view.people == 39
    desk.close()


def test_what_is_restocked_is_not_told_to_be_short(store: SqlStore) -> None:
    """Although nobody has done anything since."""
    catalogue = list(CATALOGUE)
    desk = InsightsDesk(DeedLog(store), lambda: catalogue, fewest=5, rest=0, revision=store.revision)
    assert desk.view(28, 60).view.turns[0].action.kind == "restock"
    catalogue[0] = replace(catalogue[0], stock=500)
    store.put_products(catalogue[:1])
    desk.view(28, 60)  # the newer one is made behind
    told = desk._making[28].result(60).view.turns[0]
    assert (told.action.kind, told.wanted[0].stock) == ("promote", 500)
    desk.close()


def test_nobody_waits_longer_than_told(store: SqlStore) -> None:
    desk = InsightsDesk(DeedLog(store), lambda: CATALOGUE, fewest=5, rest=3600)
    with pytest.raises(DeadlineExceeded, match="ask again"):
        desk.view(28, 0.0)
    assert rising(desk.view(28, 60).view) == ["Kettles"], "it went on being made"
    desk.close()


def test_an_empty_shop() -> None:
    desk = InsightsDesk(DeedLog(SqlStore("sqlite://")), lambda: [], fewest=5, rest=3600)
    view = desk.view(None, 60).view
    assert (view.shoppers, view.turns, view.early, view.follows, view.together, view.groups) == (0, [], [], [], [], [])
    assert len(view.notes) == 2
    desk.close()


def test_events_without_times() -> None:
    store = SqlStore("sqlite://")
    store.append_events(
        [
            Event(f"{u}-{n}", EventType.PURCHASE, f"u{u}", product_id="lamp", position=n)
            for u in range(9)
            for n in range(6)
        ]
    )
    desk = InsightsDesk(DeedLog(store), lambda: CATALOGUE, fewest=5, rest=3600)
    view = desk.view(28, 60).view
    assert view.as_of is None
    assert view.turns == []
    assert "No event has a time" in view.notes[0]
    desk.close()
