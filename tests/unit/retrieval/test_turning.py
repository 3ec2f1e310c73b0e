"""A person's interests as they move, out of a store."""

from retrieval.turning import turning_of
from tests.unit.retrieval.small_shop import SmallShop
from tests.unit.retrieval.turns import PRODUCTS, turned


def test_timeline_and_drifts_name_the_same_topics() -> None:
    shop = SmallShop(PRODUCTS, turned())
    moved = turning_of("anna", shop.store, shop.live)
    (drift,) = moved.drifts
    assert {*drift.before, *drift.after} == {line.topic for line in moved.timeline.groups}


def test_somebody_unknown_has_nothing() -> None:
    shop = SmallShop(PRODUCTS)
    moved = turning_of("nobody", shop.store, shop.live)
    assert moved.drifts == ()
    assert moved.timeline.topics == ()


def test_products_that_are_gone_are_left_out() -> None:
    shop = SmallShop(PRODUCTS, turned())
    shop.delete("tent", "stove")
    moved = turning_of("anna", shop.store, shop.live)
    assert moved.drifts == ()
    assert {line.topic for line in moved.timeline.topics} == {"Kettles", "Pans"}
