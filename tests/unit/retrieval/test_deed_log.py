"""The log of deeds: as the store has it, read once and by whoever asks, in slices; nobody who was erased is in it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.deed_log import KINDS, NO_SESSION, NONE, DeedLog, Deeds, _Columns
from retrieval.insights.desk import InsightsDesk
from retrieval.offers.adviser import Adviser
from retrieval.offers.bundles import Bundles
from retrieval.shop_purchases import ShopPurchases, purchases_of
from tasteline.errors import DeadlineExceeded
from tasteline.ports import Deed
from tasteline.types import Event
from tests.unit.retrieval.small_shop import SmallShop, event, product

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told(deeds: Deeds) -> list[tuple[str, str | None, str, int | None]]:
    kinds = [*KINDS]
    rows = zip(deeds.person, deeds.product, deeds.kind, deeds.moment, strict=True)
    return [
        (
            deeds.people[person],
            None if product == NONE else deeds.products[product],
            kinds[kind],
            None if moment == NONE else int(moment),
        )
        for person, product, kind, moment in rows
    ]


class Watched:
    """A store that counts the rows that were read of it; its pages have two rows."""

    def __init__(self, *events: Event) -> None:
        self.store = SqlStore("sqlite://")
        self.store.append_events(events)
        self.rows = 0

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]:
        rows = [row for page in self.store.deeds(since) for row in page]
        for start in range(0, len(rows), 2):
            self.rows += len(rows[start : start + 2])
            yield rows[start : start + 2]

    def erasures(self) -> int:
        return self.store.erasures()


def test_rows_are_those_of_the_store() -> None:
    store = SqlStore("sqlite://")
    log = DeedLog(store)
    assert told(log.read()) == []
    store.append_events(
        [
            event("ann", "mill", "purchase", time=NOON, session_id="s"),
            event(None, "mill"),
            event("bob", "mug", time=NOON + timedelta(days=1), session_id="s"),
            event("ann", None, "search"),
            event("ann", "mug", session_id="s"),
        ]
    )
    deeds, moment = log.read(), round(NOON.timestamp()) * 1_000_000
    assert told(deeds) == [
        ("ann", "mill", "purchase", moment),
        ("bob", "mug", "view_item", moment + 86_400_000_000),
        ("ann", None, "search", None),
        ("ann", "mug", "view_item", None),
    ]
    first, of_bob, without, second = deeds.session.tolist()
    assert first == second != of_bob, "a session is of one person"
    assert without == NO_SESSION
    assert (deeds.sequence, len(deeds)) == (5, 4)


def test_what_came_since_is_added_and_what_was_given_out_stays() -> None:
    store = Watched(event("ann", "mill"), event("bob", "mug"))
    log = DeedLog(store)
    before = log.read()
    store.store.append_events([event(f"u{number}", "mug") for number in range(50)])
    assert len(log.read()) == 52
    assert store.rows == 52, "nothing twice"
    assert [person for person, *_ in told(before)] == ["ann", "bob"]


def test_an_erased_person_is_out_of_it_at_once_and_nothing_of_them_is_left() -> None:
    store = Watched(event("ann", "mill"), event("bob", "only-bobs", session_id="s"), event("ann", "mug"))
    log = DeedLog(store)
    log.read()
    store.store.erase_user("bob")
    deeds = log.read()
    assert [person for person, *_ in told(deeds)] == ["ann", "ann"]
    assert (tuple(deeds.people), tuple(deeds.products), deeds.erasures) == (("ann",), ("mill", "mug"), 1)
    gc.collect()
    held = [each for each in gc.get_objects() if type(each) is _Columns]
    assert not any("bob" in each._people or "only-bobs" in each._products for each in held)


def test_the_follower_forgets_them_without_a_question() -> None:
    store = Watched(event("ann", "mill"), event("bob", "mug"))
    log = DeedLog(store)
    log.follow()
    store.store.erase_user("bob")
    log.follow()
    assert "bob" not in log._held._people


def test_the_follower_reads_in_slices_and_a_question_only_the_rest() -> None:
    ticks = count()  # a second for each look at the clock: more than a slice, so one page in each step
    store = Watched(*(event("ann", "mill") for _ in range(7)))
    log = DeedLog(store, lambda: float(next(ticks)))
    for rows in (2, 4, 6):
        log.follow()
        assert store.rows == rows
    assert len(log.read()) == 7
    assert store.rows == 7


def test_a_question_without_the_time_is_told_to_come_again_and_nothing_is_lost() -> None:
    ticks = count()
    store = Watched(*(event("ann", "mill") for _ in range(9)))
    log = DeedLog(store, lambda: float(next(ticks)))
    with pytest.raises(DeadlineExceeded, match="ask again"):
        log.read(1.5)
    assert store.rows == 4
    assert len(log.read()) == 9
    assert store.rows == 9


def test_one_reads_at_a_time_and_the_follower_waits_for_nobody() -> None:
    log = DeedLog(Watched(event("ann", "mill")))
    log._lock.acquire()
    log.follow()
    with pytest.raises(DeadlineExceeded):
        log.read(0.01)
    threading.Timer(0.05, log._lock.release).start()
    assert len(log.read(60)) == 1


def test_memory_is_what_the_docstring_says() -> None:
    columns = _Columns()
    for start in range(0, 100_000, 2_000):
        columns.append(
            [(each + 1, "u", "p", "purchase", each, None, f"s{each}") for each in range(start, start + 2_000)]
        )
    deeds = columns.deeds(0)
    assert Deeds.BYTES == 25
    held = sum(column.nbytes for column in columns._columns.values())
    assert 25 * len(deeds) <= held <= 1.25 * 25 * len(deeds)


def test_some_rows_are_numbered_by_their_first() -> None:
    rng = np.random.default_rng(1)
    rows = [event(f"u{rng.integers(9)}", f"p{rng.integers(9)}" if each % 3 else None) for each in range(200)]
    deeds = DeedLog(Watched(*rows)).read()
    kept = np.arange(len(deeds)) >= 150
    some = deeds.where(kept)
    assert told(some) == told(deeds)[150:]
    assert some.people == tuple(dict.fromkeys(person for person, *_ in told(some)))
    assert some.products == tuple(dict.fromkeys(product for _, product, *_ in told(some) if product))
    assert len(deeds.where(~kept & kept).people) == 0


def test_the_first_question_of_each_reads_nothing_of_the_store(tmp_path: Path) -> None:
    shop = SmallShop([product("mill", "Mill", "Kitchen")])
    store = Watched(*(event(f"u{each}", "mill", "purchase", time=NOON) for each in range(8)))
    log = DeedLog(store)
    log.follow()
    assert store.rows == 8
    with closing(InsightsDesk(log, lambda: shop.products, fewest=5, rest=0)) as desk:
        assert desk.view(28, 60).view.people == 8
    Adviser(log, store.store, shop.live, tmp_path).shop()
    assert len(ShopPurchases(log)().people) == 8
    Bundles(log, shop.live).of("mill", 2, 1)
    assert store.rows == 8


def test_what_was_given_back_was_not_bought_and_what_is_to_come_has_not_happened() -> None:
    store = SqlStore("sqlite://")
    hours = [NOON + timedelta(hours=hour) for hour in range(6)]
    store.append_events(
        [
            event("ann", "mug", "purchase", time=hours[0]),
            event("ann", "mug", "purchase", time=hours[2]),
            event("ann", "mug", "refund", time=hours[3]),  # of the second
            event("bob", "mug", "purchase", time=hours[1]),
            event("bob", "pan", "refund", time=hours[4]),  # of something bought elsewhere
            event("bob", "pan", "purchase", time=hours[5]),  # after that
            event("bob", "mug", "view_item", time=datetime.now(UTC) + timedelta(days=400)),
        ]
    )
    bought = [row for row in told(DeedLog(store).read()) if row[2] == "purchase"]
    at = {hour: round(time.timestamp() * 1_000_000) for hour, time in enumerate(hours)}
    assert sorted((who, what, when) for who, what, _, when in bought) == [
        ("ann", "mug", at[0]),
        ("bob", "mug", at[1]),
        ("bob", "pan", at[5]),
    ]
    assert "view_item" not in [kind for *_, kind, _ in told(DeedLog(store).read())]
    assert ShopPurchases(DeedLog(store))().last == int(hours[5].timestamp())
    alone = purchases_of(store.history("ann"))
    assert alone == [("mug", int(hours[0].timestamp()))]
