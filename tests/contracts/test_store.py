"""What every `Store` must do: one in memory, one in a file, and a file that is opened anew for each call."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from retrieval.adapters import store_engine, store_sql
from retrieval.adapters.store_schema import HEAD
from retrieval.adapters.store_sql import SqlStore
from tasteline.errors import InvalidInput, SetupError, TransientError
from tasteline.ports import Change, Shown, Store, Written
from tasteline.trials import Arm, Trial, TrialOutcome
from tasteline.types import Event, EventType, Price, Product, RankedProduct, Ranking, Reason, Turn

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
KETTLE = Product(
    id="p1",
    title="Kettle “Ånga” 1.7 l",
    description="Boils fast.\nKeeps warm.",
    brand="Norrsken",
    categories=("Kitchen", "Kettles"),
    price=Price(4999, "USD"),
    rating=4.5,
    rating_count=12,
    stock=0,
    attributes={"colour": ("red", "blue"), "volume": ("1.7",)},
    url="https://shop.example/p1",
    image_url="https://shop.example/p1.jpg",
)


class ReopenedStore:
    """A file that each call opens and closes: nothing may live in the process alone."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            store = SqlStore(self._url)
            try:
                result = getattr(store, name)(*args, **options)
                return iter(list(result)) if isinstance(result, Iterator) else result
            finally:
                store.close()

        return call


@pytest.fixture(params=["memory", "file", "reopened"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/shop.db"
    opened = cast(Store, ReopenedStore(url) if request.param == "reopened" else SqlStore(url))
    yield opened
    opened.close()


def view(id_: str, user: str | None = "ann", **fields: object) -> Event:
    return replace(Event(id_, EventType.VIEW_ITEM, user_id=user, product_id="p1"), **fields)  # type: ignore[arg-type]


def ids(found: Sequence[Event]) -> list[str]:
    return [event.id for event in found]


def ranking(id_: str, *product_ids: str) -> Ranking:
    items = tuple(RankedProduct(Product(p, f"title of {p}"), 0.5, (Reason("match", "why"),)) for p in product_ids)
    return Ranking(id_, items, total=40)


class TestCatalogue:
    def test_a_product_comes_back_as_it_was(self, store: Store) -> None:
        bare = Product("p2", "Mug")
        assert store.put_products([KETTLE, bare]) == Written(2, 0)
        assert list(store.changes(0)) == [Change(1, "p1", KETTLE), Change(2, "p2", bare)]

    def test_an_empty_catalogue(self, store: Store) -> None:
        assert (store.revision(), list(store.changes(0))) == (0, [])
        assert store.put_products([]) == Written(0, 0)
        assert store.delete_products([]) == 0
        assert store.revision() == 0

    def test_the_same_again_changes_nothing(self, store: Store) -> None:
        store.put_products([KETTLE])
        reordered = replace(KETTLE, attributes=MappingProxyType(dict(reversed(list(KETTLE.attributes.items())))))
        assert store.put_products([KETTLE]) == Written(0, 1)
        assert store.put_products([reordered]) == Written(0, 1)
        assert store.revision() == 1

    @pytest.mark.parametrize(
        "change", [{"stock": 1}, {"price": None}, {"attributes": {}}, {"categories": ("Kitchen",)}]
    )
    def test_any_field_makes_a_change(self, store: Store, change: dict[str, object]) -> None:
        store.put_products([KETTLE, Product("p2", "Mug")])
        changed = replace(KETTLE, **change)  # type: ignore[arg-type]
        assert store.put_products([changed, Product("p2", "Mug")]) == Written(1, 1)
        assert list(store.changes(2)) == [Change(3, "p1", changed)]
        assert [c.product_id for c in store.changes(0)] == ["p2", "p1"], "by revision, each product once"

    def test_the_last_of_one_id_in_a_batch_counts(self, store: Store) -> None:
        batch = [Product("p", "one"), Product("p", "two"), Product("p", "three")]
        assert store.put_products(batch) == Written(1, 2)
        assert list(store.changes(0)) == [Change(1, "p", batch[2])]
        assert store.put_products(batch) == Written(0, 3)

    def test_deleted_is_heard_of_and_can_return(self, store: Store) -> None:
        store.put_products([KETTLE])
        assert store.delete_products(["p1", "p1", "unknown"]) == 1
        assert list(store.changes(1)) == [Change(2, "p1", None)]
        assert store.delete_products(["p1"]) == 0
        assert store.put_products([KETTLE]) == Written(1, 0)
        assert list(store.changes(0)) == [Change(3, "p1", KETTLE)]

    def test_more_than_a_page_is_streamed_and_may_move_meanwhile(self, store: Store) -> None:
        many = [Product(f"p{i}", f"Mug {i}") for i in range(4500)]
        assert store.put_products(many) == Written(4500, 0)
        stream = store.changes(0)
        first = next(stream)
        store.put_products([Product("p0", "Mug, moved"), Product("p4400", "Mug, moved")])
        seen = [first, *stream]
        assert [c.revision for c in seen] == sorted({c.revision for c in seen})
        assert {c.product_id: c.revision for c in store.changes(0)}["p0"] == 4501
        assert {c.product_id for c in seen} == {p.id for p in many}

    @pytest.mark.parametrize(
        "product", [Product("p", "lone \ud800"), Product("\udfff", "x"), replace(KETTLE, stock=2**70)]
    )
    def test_what_cannot_be_kept_is_refused_whole(self, store: Store, product: Product) -> None:
        with pytest.raises(InvalidInput):
            store.put_products([Product("good", "Mug"), product])
        assert (store.revision(), list(store.changes(0))) == (0, [])


class TestEvents:
    def test_an_event_comes_back_as_it_was(self, store: Store) -> None:
        full = Event("e1", EventType.SEARCH, "ann", "s1", "p1", "red kettle", NOON, 3, 2, "r1")
        bare = Event("e2", EventType.VIEW_CART)
        assert store.append_events([full, bare]) == Written(2, 0)
        assert list(store.events()) == [(1, full), (2, bare)]
        assert store.history("ann") == [full]

    def test_times_keep_their_microseconds_and_become_utc(self, store: Store) -> None:
        there = datetime(1931, 3, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=5)))
        naive = datetime(2018, 1, 19, 3, 14, 8, 1)
        store.append_events([view("e1", time=there), view("e2", time=naive)])
        assert [e.time for e in store.history("ann")] == [there, naive.replace(tzinfo=UTC)]
        assert store.history("ann")[0].time.tzinfo is UTC  # type: ignore[union-attr]

    def test_repeats_are_counted_within_and_across_batches(self, store: Store) -> None:
        assert store.append_events([view("a"), view("b"), view("a")]) == Written(2, 1)
        assert store.append_events([view("b"), view("c"), view("c", user="bob")]) == Written(1, 2)
        assert ids([event for _, event in store.events()]) == ["a", "b", "c"]
        assert store.append_events([]) == Written(0, 0)

    def test_the_first_of_one_id_stays(self, store: Store) -> None:
        store.append_events([view("a")])
        store.append_events([view("a", user="bob")])
        assert (ids(store.history("ann")), store.history("bob")) == (["a"], [])

    def test_groups_are_counted_apart(self, store: Store) -> None:
        store.append_events([view("old")])
        groups = [[view("a"), view("old")], [], [view("a"), view("b"), view("b")], [view("c")]]
        counts = cast(SqlStore, store).append_event_groups(groups)
        assert counts == [Written(1, 1), Written(0, 0), Written(1, 2), Written(1, 0)]

    def test_history_is_by_time(self, store: Store) -> None:
        later = [view(f"e{i}", time=NOON + timedelta(hours=i)) for i in (2, 0, 3, 1)]
        store.append_events([*later, view("other", user="bob", time=NOON)])
        assert ids(store.history("ann")) == ["e0", "e1", "e2", "e3"]
        assert ids(store.history("ann", limit=2)) == ["e2", "e3"]

    def test_history_ends_with_today(self, store: Store) -> None:
        times = [None, NOON, datetime(2999, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=20)]
        store.append_events([Event(f"e{n}", EventType.VIEW_ITEM, "ann", time=each) for n, each in enumerate(times)])
        assert ids(store.history("ann")) == ["e0", "e1", "e3"]

    def test_history_is_by_position_where_no_time_is_known(self, store: Store) -> None:
        store.append_events([view(f"e{i}", position=i) for i in (10, 2, 9)])
        assert ids(store.history("ann")) == ["e2", "e9", "e10"]

    def test_history_is_by_arrival_where_nothing_is_known_or_all_is_equal(self, store: Store) -> None:
        store.append_events([view("z"), view("a"), view("m")])
        store.append_events([view(f"bob-{letter}", user="bob", time=NOON) for letter in "zam"])
        assert ids(store.history("ann", limit=2)) == ["a", "m"]
        assert ids(store.history("bob", limit=2)) == ["bob-a", "bob-m"]

    def test_untimed_events_are_older_than_timed_ones(self, store: Store) -> None:
        store.append_events([view("live", time=NOON), view("imported", position=99), view("bare")])
        assert ids(store.history("ann")) == ["bare", "imported", "live"]

    def test_a_session_is_asked_for_only_without_a_person(self, store: Store) -> None:
        store.append_events(
            [view("a", session_id="s"), view("b", None, session_id="s"), view("c", None, session_id="t"), view("d")]
        )
        assert ids(store.history(None, "s")) == ["a", "b"]
        assert ids(store.history("ann", "t")) == ["a", "d"]
        assert store.history(None) == store.history("nobody") == store.history(None, "none") == []
        assert store.history("ann", limit=0) == store.history("ann", limit=-1) == []

    def test_events_are_streamed_after_a_number(self, store: Store) -> None:
        store.append_events([view(f"e{i}") for i in range(4100)])
        assert [seq for seq, _ in store.events()] == list(range(1, 4101))
        assert [(seq, event.id) for seq, event in store.events(since=4098)] == [(4099, "e4098"), (4100, "e4099")]

    def test_deeds_are_the_events_of_people(self, store: Store) -> None:
        store.append_events([view(f"e{i}", f"u{i % 3}", time=NOON, position=i) for i in range(4100)])
        store.append_events([view("anonymous", None), Event("s", EventType.SEARCH, "u1", "s1", query="kettle")])
        pages = list(store.deeds())
        assert len(pages) > 1
        found = [tuple(deed) for page in pages for deed in page]
        assert len(found) == 4101
        moment = 1_000_000 * round(NOON.timestamp())
        assert found[4099] == (4100, "u1", "p1", EventType.VIEW_ITEM, moment, 4099, None)
        assert found[4100] == (4102, "u1", None, EventType.SEARCH, None, None, "s1")
        assert [deed[0] for page in store.deeds(since=4099) for deed in page] == [4100, 4102]

    @pytest.mark.parametrize("bad", [view("\ud800"), view("e", position=2**70), view("e", query="\ud800")])
    def test_what_cannot_be_kept_is_refused_whole(self, store: Store, bad: Event) -> None:
        with pytest.raises(InvalidInput):
            store.append_events([view("good"), bad])
        assert list(store.events()) == []

    def test_busiest_people_first(self, store: Store) -> None:
        store.append_events([view(f"{user}{i}", user) for user, n in (("b", 2), ("c", 3), ("a", 2)) for i in range(n)])
        store.append_events([view("anonymous", None)])
        assert store.users() == [("c", 3), ("a", 2), ("b", 2)]
        assert store.users(limit=1) == [("c", 3)]


class TestConversationsAndRankings:
    def test_turns_come_back_in_order(self, store: Store) -> None:
        said = [Turn("user", "a red kettle"), Turn("assistant", "Here.", ("p1", "p2"), '{"a":1}')]
        more = [Turn("user", "cheaper")]
        store.append_turns("c1", None, said)
        store.append_turns("c1", "ann", more)
        store.append_turns("c2", None, [Turn("user", "other")])
        store.append_turns("c1", "ann", [])
        assert store.turns("c1") == said + more
        assert store.turns("unknown") == []

    def test_a_ranking_is_kept_once_and_without_texts(self, store: Store) -> None:
        store.save_rankings([(ranking("r1", "p2", "p1"), "ann"), (ranking("r2"), "ann"), (ranking("r3", "p1"), None)])
        store.save_rankings([(ranking("r1", "p9", "p8", "p7"), "ann"), (ranking("r2", "p1"), "bob")])
        store.save_rankings([])
        exported = store.export_user("ann")["rankings"]
        items = [{"product_id": "p2", "score": 0.5}, {"product_id": "p1", "score": 0.5}]
        assert exported == [{"id": "r1", "total": 40, "items": items}, {"id": "r2", "total": 40, "items": []}]

    def test_rankings_come_back_with_what_they_showed(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_sql, "_RANKINGS_AT_ONCE", 2)
        shown = [
            (ranking(f"r{number}", *(f"p{number - place}" for place in range(number % 3))), "ann")
            for number in range(5)
        ]
        store.save_rankings([*shown, (ranking("a", "p2", "p1"), None)])
        assert list(store.rankings()) == [
            Shown("a", None, ("p2", "p1")),
            Shown("r0", "ann", ()),
            Shown("r1", "ann", ("p1",)),
            Shown("r2", "ann", ("p2", "p1")),
            Shown("r3", "ann", ()),
            Shown("r4", "ann", ("p4",)),
        ]
        store.erase_user("ann")
        assert [each.ranking_id for each in store.rankings()] == ["a"]

    def test_what_came_of_a_trial_is_counted_by_ranking(self, store: Store) -> None:
        arms: list[tuple[str, Arm]] = [("t1", "A"), ("t2", "B"), ("t3", "B")]
        tried = [(replace(ranking(id_, "p1"), trial=Trial("x", arm, f"unit-{id_}")), "ann") for id_, arm in arms]
        other = [(replace(ranking("t4"), trial=Trial("y", "A", "u")), None), (ranking("t5"), None)]
        store.save_rankings([*tried, *other])
        store.save_rankings(tried)
        store.append_events(
            [
                replace(view("c1"), ranking_id="t1"),
                replace(view("c2"), ranking_id="t1"),
                replace(view("c3", "bob"), ranking_id="t3", type=EventType.PURCHASE),
                replace(view("c4"), ranking_id="t3", type=EventType.ADD_TO_CART),
                replace(view("c5"), ranking_id="t2", type=EventType.VIEW_ITEM_LIST),
                replace(view("c6"), ranking_id="t4"),
                view("c7"),
            ]
        )
        assert list(store.trial_outcomes("x")) == [
            TrialOutcome("A", "unit-t1", clicked=True, carted=False, bought=False),
            TrialOutcome("B", "unit-t2", clicked=False, carted=False, bought=False),
            TrialOutcome("B", "unit-t3", clicked=False, carted=True, bought=True),
        ]
        assert list(store.trial_outcomes("unknown")) == []
        assert store.export_user("ann")["rankings"][0]["experiment"] == "x"
        store.erase_user("ann")
        assert list(store.trial_outcomes("x")) == []
        assert len(list(store.trial_outcomes("y"))) == 1

    def test_outcomes_of_many_rankings_are_read_page_by_page(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_sql, "_PAGE", 3)
        tried = [(replace(ranking(f"t{n}"), trial=Trial("x", "A", f"{n}")), None) for n in range(8)]
        store.save_rankings(tried)
        assert [outcome.unit for outcome in store.trial_outcomes("x")] == [f"{n}" for n in range(8)]


class TestPeople:
    def fill(self, store: Store) -> None:
        store.append_events([view("a1", time=NOON), view("a2", session_id="s"), view("b1", "bob"), view("x", None)])
        store.append_events([view("s1", None, session_id="s"), view("s2", "bob", session_id="s")])
        store.append_turns("c1", None, [Turn("user", "hello")])
        store.append_turns("c1", "ann", [Turn("user", "a kettle"), Turn("assistant", "Here.", ("p1",), "{}")])
        store.append_turns("c1", "bob", [Turn("user", "me too")])
        store.append_turns("c2", "bob", [Turn("user", "a mug")])
        store.append_turns("c3", None, [Turn("user", "a stranger")])
        store.save_rankings([(ranking("r1", "p1", "p2"), "ann"), (ranking("r2", "p1"), "bob"), (ranking("r3"), None)])

    def test_export_is_all_that_erasing_removes(self, store: Store) -> None:
        self.fill(store)
        exported = orjson.loads(orjson.dumps(store.export_user("ann")))
        assert [event["id"] for event in exported["events"]] == ["a1", "a2"]
        assert exported["events"][0]["time"] == "2025-06-01T12:00:00Z"
        assert exported["events"][0]["type"] == "view_item"
        assert [c["id"] for c in exported["conversations"]] == ["c1"]
        assert [turn["text"] for turn in exported["conversations"][0]["turns"]] == ["hello", "a kettle", "Here."]
        assert [r["id"] for r in exported["rankings"]] == ["r1"]
        removed = 2 + 3 + 2 + 1  # events, turns, ranking items, ranking
        assert store.erase_user("ann") == removed
        assert store.export_user("ann") == {"events": [], "conversations": [], "rankings": []}

    def test_erasing_leaves_the_others_alone(self, store: Store) -> None:
        self.fill(store)
        bob = store.export_user("bob")
        bob["conversations"][0]["turns"] = [{"role": "user", "text": "me too", "product_ids": [], "state": ""}]
        store.erase_user("ann")
        assert store.export_user("bob") == bob
        assert ids(store.history(None, "s")) == ["s1", "s2"]
        assert [event.id for _, event in store.events()] == ["b1", "x", "s1", "s2"]
        assert store.turns("c3") == [Turn("user", "a stranger")]

    def test_erasures_move_only_when_something_was_erased(self, store: Store) -> None:
        self.fill(store)
        assert store.erasures() == 0
        assert store.erase_user("nobody") == 0
        assert store.erasures() == 0
        store.erase_user("ann")
        assert store.erasures() == 1
        assert store.erase_user("ann") == 0
        assert store.erasures() == 1

    def test_numbers_of_erased_events_are_not_given_again(self, store: Store) -> None:
        store.append_events([view("a"), view("b"), view("c")])
        store.erase_user("ann")
        store.append_events([view("d", "bob")])
        assert [seq for seq, _ in store.events(since=3)] == [4]

    def test_conversations_go_on_after_an_erasure(self, store: Store) -> None:
        self.fill(store)
        store.erase_user("ann")
        store.append_turns("c1", "bob", [Turn("user", "and now?")])
        assert [turn.text for turn in store.turns("c1")] == ["me too", "and now?"]


# properties ----------------------------------------------------------------------------------------------------------

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_products = st.builds(
    Product,
    id=st.sampled_from("abcde"),
    title=_texts,
    price=st.none() | st.builds(Price, st.integers(-(2**40), 2**40), st.just("EUR")),
    rating=st.none() | st.floats(0, 5),
    attributes=st.dictionaries(_texts, st.lists(_texts, max_size=2).map(tuple), max_size=2),
)
_times = st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))
_few_times = st.none() | st.sampled_from([NOON, NOON + timedelta(microseconds=1)])
_events = st.builds(
    Event,
    id=st.integers(0, 12).map(str),
    type=st.sampled_from(EventType),
    user_id=st.sampled_from([None, "ann", "bob"]),
    query=st.none() | _texts,
    time=_times | _few_times,
    position=st.none() | st.integers(-2, 2),
)
_operations = st.lists(
    st.tuples(st.just("put_products"), st.lists(_products, max_size=4))
    | st.tuples(st.just("delete_products"), st.lists(st.sampled_from("abcdef"), max_size=3))
    | st.tuples(st.just("append_events"), st.lists(_events, max_size=5)),
    max_size=6,
)


def state_of(store: SqlStore) -> tuple[int, list[Change], list[Event]]:
    """All but the sequence numbers of events: a repeated event leaves a gap there."""
    return store.revision(), list(store.changes(0)), [event for _, event in store.events()]


@settings(max_examples=40, deadline=None)
@given(_operations)
def test_repeating_every_operation_changes_nothing(operations: list[tuple[str, list[object]]]) -> None:
    once, twice = SqlStore("sqlite://"), SqlStore("sqlite://")
    catalogue: dict[str, Product] = {}
    for name, batch in operations:
        getattr(once, name)(batch)
        getattr(twice, name)(batch)
        assert getattr(twice, name)(batch) in (0, Written(0, len(batch)))
        if name == "put_products":
            catalogue.update((product.id, product) for product in cast(list[Product], batch))
        elif name == "delete_products":
            catalogue = {id_: product for id_, product in catalogue.items() if id_ not in batch}
    assert state_of(once) == state_of(twice)
    assert {c.product_id: c.product for c in once.changes(0) if c.product} == catalogue
    once.close()
    twice.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(_events, max_size=12, unique_by=lambda event: event.id), st.integers(1, 8))
def test_history_is_the_tail_of_the_sorted_events(events: list[Event], limit: int) -> None:
    store = SqlStore("sqlite://")
    store.append_events(events)

    def age(numbered: tuple[int, Event]) -> tuple[bool, datetime, bool, int, int]:
        seq, event = numbered
        return event.time is not None, event.time or NOON, event.position is not None, event.position or 0, seq

    expected = [event for _, event in sorted(enumerate(events), key=age) if event.user_id == "ann"]
    assert store.history("ann", limit=limit) == expected[-limit:]
    store.close()


# several threads, several processes ----------------------------------------------------------------------------------


def test_threads_share_one_store(store: Store) -> None:
    def work(worker: int) -> int:
        for step in range(8):
            store.put_products([Product(f"p{worker}-{step}", "Mug"), Product("shared", f"{worker}-{step}")])
            store.append_events([view(f"e{worker}-{step}", f"u{worker}"), view(f"common-{step}")])
            assert len(store.history(f"u{worker}")) == step + 1
        return len(list(store.changes(0)))

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(work, range(4))) >= 9
    assert store.revision() == 4 * 8 * 2
    assert len(list(store.events())) == 4 * 8 + 8


_WRITER = """
import sys
from retrieval.adapters.store_sql import SqlStore
from tasteline.types import Event, EventType, Product
url, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
store = SqlStore(url)
for step in range(40):
    store.put_products([Product(f"{name}-{step}", "Mug"), Product("shared", f"{name}-{step}")])
    store.append_events([Event(f"{name}-{step}", EventType.SEARCH, "ann"), Event(f"common-{step}", EventType.SEARCH)])
    revisions = [change.revision for change in store.changes(0)]
    assert revisions == sorted(set(revisions))
store.close()
"""


def test_two_processes_open_and_write_a_new_file_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    store = SqlStore(url)
    changes = list(store.changes(0))
    assert {c.product_id for c in changes} == {f"{n}-{i}" for n in ("left", "right") for i in range(40)} | {"shared"}
    assert store.revision() == changes[-1].revision == 2 * 40 * 2
    assert len({c.revision for c in changes}) == len(changes) == 81
    assert len(list(store.events())) == 2 * 40 + 40
    store.close()


# erasure leaves no bytes ---------------------------------------------------------------------------------------------


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def fill_at_random(store: SqlStore, seed: int) -> None:
    """Rows of very different lengths in random order: splitting their pages leaves copies behind in unused space."""
    rng = random.Random(seed)

    def somebody() -> str:
        return f"person-{rng.randrange(40):04d}@shop.example"

    for _ in range(40):
        batch = []
        for _ in range(60):
            user = somebody()
            query = f"secret of {user} " * rng.randrange(1, 30)
            session = "s" * rng.randrange(200) + user
            id_ = f"{rng.getrandbits(64):016x}" * rng.randrange(1, 6)
            batch.append(Event(id_, EventType.SEARCH, user, session, None, query))
        store.append_events(batch)
        user = somebody()
        store.append_turns(
            f"c{rng.random()}-{user}", user, [Turn("user", f"hello from {user} " * rng.randrange(1, 500))]
        )
        store.save_rankings([(ranking(f"r{rng.random()}-{user}", *(f"p{i}" for i in range(rng.randrange(30)))), user)])


@pytest.mark.parametrize("seed", [0, 2])  # with these, overwriting rows without rewriting the file leaves copies
def test_no_byte_of_an_erased_person_is_left(tmp_path: Path, seed: int) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/shop.db")
    other = SqlStore(f"sqlite:///{tmp_path}/shop.db")
    fill_at_random(store, seed)
    for number in range(0, 40, 8):
        user = f"person-{number:04d}@shop.example".encode()
        before = other.users(limit=100)
        assert bytes_on_disk(tmp_path).count(user) > 10, "while the person is known"
        assert store.erase_user(user.decode()) > 10
        assert user not in bytes_on_disk(tmp_path)
        assert other.users(limit=100) == [known for known in before if known[0] != user.decode()]
    store.close()
    other.close()


def test_an_erasure_that_was_cut_off_is_finished_on_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    store = SqlStore(url)
    store.append_turns("c1", "someone-known", [Turn("user", "a secret wish " * 500)])

    def crash(_database: store_engine.Database) -> None:
        raise TransientError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(store_engine.Database, "scrub", crash)
        with pytest.raises(TransientError):
            store.erase_user("someone-known")
    assert store.turns("c1") == []
    assert b"someone-known" in bytes_on_disk(tmp_path)
    again = SqlStore(url)
    assert b"someone-known" not in bytes_on_disk(tmp_path)
    assert b"a secret wish" not in bytes_on_disk(tmp_path)
    again.close()
    store.close()


# errors and schema ---------------------------------------------------------------------------------------------------


def test_a_locked_file_is_transient_and_reading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_engine, "_BUSY_SECONDS", 0.05)
    store = SqlStore(f"sqlite:///{tmp_path}/shop.db")
    store.append_events([view("a")])
    other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError):
        store.append_events([view("b")])
    assert ids(store.history("ann")) == ["a"]
    other.execute("ROLLBACK")
    assert store.append_events([view("b")]) == Written(1, 0)
    other.close()
    store.close()


def test_a_newer_schema_is_refused_with_a_remedy(tmp_path: Path) -> None:
    SqlStore(f"sqlite:///{tmp_path}/shop.db").close()
    raw = sqlite3.connect(tmp_path / "shop.db")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(SetupError, match=r"schema version 9999.*Run: .+"):
        SqlStore(f"sqlite:///{tmp_path}/shop.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"id,title\n" * 1000)
    with pytest.raises(SetupError, match=r"damaged or not ours.*Run: mv .*shop\.db"):
        SqlStore(f"sqlite:///{tmp_path}/shop.db")


def test_a_damaged_file_is_reported_as_such(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/shop.db")
    store.put_products([Product(f"p{i}", "Mug " * 50) for i in range(2000)])
    store.close()
    with (tmp_path / "shop.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 100 * 4096)
    with pytest.raises(SetupError, match="damaged"):
        list(SqlStore(f"sqlite:///{tmp_path}/shop.db").changes(0))


def test_other_databases_are_refused_by_name() -> None:
    with pytest.raises(SetupError, match="postgresql"):
        SqlStore("postgresql://localhost/shop")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError):
        SqlStore(f"sqlite:///{tmp_path}/file/shop.db")


def definitions(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    """The scripts and `metadata` are written apart; the database in memory comes from one, files from the other."""
    SqlStore(f"sqlite:///{tmp_path}/shop.db").close()
    migrated = sqlite3.connect(tmp_path / "shop.db")
    memory = store_engine.Database("sqlite://")
    with memory.reading() as connection:
        created = definitions(cast(sqlite3.Connection, connection.connection.driver_connection))
    assert definitions(migrated) == created
    assert migrated.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    assert migrated.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    migrated.close()
    memory.close()


def test_a_database_of_before_is_brought_up_to_date_and_keeps_its_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        store_engine.migrate(connection, "0001")
        connection.exec_driver_sql("INSERT INTO rankings (id, user_id, total) VALUES ('r1', 'ann', 7)")
    engine.dispose()
    store = SqlStore(url)
    assert store.export_user("ann")["rankings"] == [{"id": "r1", "total": 7, "items": []}]
    store.save_rankings([(replace(ranking("t1"), trial=Trial("x", "B", "u")), "ann")])
    assert [outcome.arm for outcome in store.trial_outcomes("x")] == ["B"]
    store.close()


def test_an_open_database_at_its_head_does_not_load_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    SqlStore(url).close()
    imports = "import sys; from retrieval.adapters.store_sql import SqlStore"
    code = f"{imports}; SqlStore({url!r}); sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_history_reads_its_index_alone(tmp_path: Path) -> None:
    """No sorting and no scan: the answer costs the same however long the table is."""
    SqlStore(f"sqlite:///{tmp_path}/shop.db").close()
    raw = sqlite3.connect(tmp_path / "shop.db")
    for column in ("user_id", "session_id"):
        order = "time DESC NULLS LAST, position DESC NULLS LAST, seq DESC"
        query = f"EXPLAIN QUERY PLAN SELECT * FROM events WHERE {column} = ? ORDER BY {order} LIMIT 50"
        plan = [row[3] for row in raw.execute(query, ("ann",))]
        assert plan == [f"SEARCH events USING INDEX events_by_{column.removesuffix('_id')} ({column}=?)"]
    raw.close()
