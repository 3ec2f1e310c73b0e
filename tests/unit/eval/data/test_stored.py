"""A shop's store as a data set: who did what in which order, and what is left out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eval.data.interactions import TYPES, Dataset
from eval.data.stored import read_store
from retrieval.adapters.store_sql import SqlStore
from retrieval.text import product_text
from tasteline.errors import InvalidInput
from tasteline.types import Event, Product
from tests.unit.retrieval.small_shop import event, product

PRODUCTS = [product("lamp", "Lamp", "Home", "Lamps"), product("tent", "Tent", "Outdoors"), product("mug", "Mug")]


def read(*events: Event, products: list[Product] = PRODUCTS, gone: str = "") -> Dataset:
    store = SqlStore("sqlite://")
    store.put_products(products)
    store.append_events(events)
    if gone:
        store.delete_products([gone])
    return read_store(store, "shop")[0]


def at(second: int) -> datetime:
    return datetime.fromtimestamp(1_700_000_000 + second, UTC)


def steps(dataset: Dataset) -> dict[str, list[str]]:
    rows = dataset.interactions
    found: dict[str, list[str]] = {}
    for user, item in zip(rows.users.tolist(), rows.items.tolist(), strict=True):
        found.setdefault(dataset.user_ids[user], []).append(dataset.catalogue.ids[item])
    return found


def test_times_order_a_persons_events_where_all_have_one() -> None:
    dataset = read(event("ann", "mug", time=at(9)), event("bob", "tent", time=at(5)), event("ann", "lamp", time=at(1)))
    assert dataset.timed
    assert steps(dataset) == {"ann": ["lamp", "mug"], "bob": ["tent"]}
    assert dataset.interactions.order.min() == int(at(1).timestamp())


def test_events_of_one_second_stay_as_they_came() -> None:
    dataset = read(*(event("ann", each, time=at(1)) for each in ("mug", "lamp", "tent")))
    assert steps(dataset) == {"ann": ["mug", "lamp", "tent"]}


def test_positions_order_them_else_and_one_event_without_a_time_makes_all_untimed() -> None:
    dataset = read(event("ann", "mug", position=2), event("ann", "lamp", position=1), event("bob", "tent", time=at(0)))
    assert not dataset.timed
    assert steps(dataset)["ann"] == ["lamp", "mug"]


def test_without_time_and_position_they_stay_as_they_came() -> None:
    assert steps(read(event("ann", "tent"), event("bob", "mug"), event("ann", "lamp")))["ann"] == ["tent", "lamp"]


def test_a_session_stands_for_a_person_without_an_id() -> None:
    dataset = read(
        event(None, "mug", session_id="s1"), event(None, "lamp", session_id="s2"), event("s1", "tent", session_id="s1")
    )
    assert steps(dataset) == {"session s1": ["mug"], "session s2": ["lamp"], "s1": ["tent"]}


def test_what_says_nothing_or_is_gone_is_left_out() -> None:
    dataset = read(
        event("ann", "mug"),
        event("ann", "lamp", "remove_from_cart"),
        event("ann", None, "search", query="tent"),
        event("ann", "never-there"),
        event("ann", "tent", "add_to_cart"),
        event("bob", "lamp"),
        gone="lamp",
    )
    assert steps(dataset) == {"ann": ["mug", "tent"]}
    assert sorted(dataset.catalogue.ids) == ["mug", "tent"]
    assert [TYPES[kind].value for kind in dataset.interactions.types] == ["view_item", "add_to_cart"]


def test_items_are_all_products_with_their_words() -> None:
    dataset = read(event("ann", "mug"))
    assert set(dataset.catalogue.ids) == {"lamp", "tent", "mug"}
    words = dict(zip(dataset.catalogue.ids, dataset.catalogue.texts, strict=True))
    assert words["lamp"] == product_text(PRODUCTS[0])
    assert dict(zip(dataset.catalogue.ids, dataset.catalogue.categories, strict=True))["lamp"] == "Home"


def test_the_checksum_is_of_products_and_events() -> None:
    plain = read(event("ann", "mug"), event("ann", "lamp"))
    assert read(event("ann", "mug"), event("ann", "lamp")).checksum == plain.checksum
    assert read(event("ann", "lamp"), event("ann", "mug")).checksum != plain.checksum
    renamed = [product("lamp", "Lantern", "Home", "Lamps"), *PRODUCTS[1:]]
    assert read(event("ann", "mug"), event("ann", "lamp"), products=renamed).checksum != plain.checksum


@pytest.mark.parametrize(
    ("products", "events", "message"),
    [
        ([], [event("ann", "mug")], "no products"),
        (PRODUCTS, [], "nobody has done anything"),
        (PRODUCTS, [event("ann", "mug", "remove_from_cart"), event("ann", "gone")], "nobody has done anything"),
    ],
)
def test_a_shop_with_nothing_to_learn_from_says_so(products: list[Product], events: list[Event], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(*events, products=products)
