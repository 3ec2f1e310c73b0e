"""The columns of the shop-wide view, read from a real store."""

from datetime import UTC, datetime, timedelta

from retrieval.adapters.store_sql import SqlStore
from retrieval.deed_log import DeedLog
from retrieval.insights.acts import Acts, acts_of
from tasteline.types import Event, EventType, Product

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MILL = Product("mill", "Mill", categories=("Kitchen", "Coffee", "Grinders"))
MUG = Product("mug", "Mug", categories=("Kitchen",))
BARE = Product("bare", "Bare")


def did(id_: str, user: str | None, product: str | None, kind: EventType, days: float = 0, **more: object) -> Event:
    return Event(id_, kind, user, product_id=product, time=NOON - timedelta(days=days), **more)  # type: ignore[arg-type]


def read(log: DeedLog) -> Acts:
    return acts_of(log.read(), [MILL, MUG, BARE])


def test_rows_say_who_turned_to_which_topic_when_and_how_much() -> None:
    store = SqlStore("sqlite://")
    log = DeedLog(store)
    store.append_events(
        [
            did("1", "ann", "mill", EventType.PURCHASE, 1.5, session_id="s"),
            did("2", "ann", "mug", EventType.PURCHASE, 1.5, session_id="s"),
            did("3", "bob", "mug", EventType.VIEW_ITEM),
            did("4", "bob", "bare", EventType.VIEW_ITEM),  # no topic
            did("5", "bob", "gone", EventType.VIEW_ITEM),  # not in the catalogue
            did("6", "bob", None, EventType.SEARCH),
            did("7", "bob", "mug", EventType.REMOVE_FROM_CART),  # says nothing of interest
            did("8", None, "mug", EventType.VIEW_ITEM),  # nobody
            Event("9", EventType.VIEW_ITEM, "cleo", product_id="mug"),  # no time
        ]
    )
    acts = read(log)
    assert acts.events == 8
    assert acts.people == 3
    topics = [acts.topics[number] for number in acts.table["topic"]]
    assert topics == [("Kitchen", "Coffee"), ("Kitchen",), ("Kitchen",), ("Kitchen",)]
    assert acts.table["age"].to_list() == [1, 1, 0, -1]
    assert acts.table["weight"].to_list() == [4.0, 4.0, 1.0, 1.0]
    assert acts.table["bought"].to_list() == [True, True, False, False]
    first, second, third, _ = acts.table["basket"].to_list()
    assert first == second != third
    assert len(acts.timed) == 3


def test_what_is_new_is_added_and_an_erased_person_is_gone() -> None:
    store = SqlStore("sqlite://")
    log = DeedLog(store)
    store.append_events([did("1", "ann", "mill", EventType.VIEW_ITEM), did("2", "bob", "mug", EventType.VIEW_ITEM)])
    assert len(read(log).table) == 2
    store.append_events([did("3", "bob", "mill", EventType.VIEW_ITEM)])
    assert len(read(log).table) == 3
    store.erase_user("bob")
    left = read(log)
    assert (len(left.table), left.people, left.events) == (1, 1, 1)


def test_an_empty_store() -> None:
    acts = read(DeedLog(SqlStore("sqlite://")))
    assert (len(acts.table), acts.people, acts.last) == (0, 0, None)


def test_what_is_dated_in_the_future_is_neither_the_last_event_nor_an_act() -> None:
    store = SqlStore("sqlite://")
    far = did("2", "bob", "mug", EventType.VIEW_ITEM, -10_000)
    store.append_events([did("1", "ann", "mug", EventType.VIEW_ITEM), far])
    acts = read(DeedLog(store))
    assert acts.last == NOON.timestamp() * 1_000_000
    assert acts.table["age"].to_list() == [0]
