"""Sums are of true prices in one currency; what was bought by people who were erased is no rule any more."""

from datetime import UTC, datetime

import pytest

from retrieval.deed_log import DeedLog
from retrieval.offers.bundles import Bundles, total_of
from tasteline.errors import NotFound
from tasteline.types import Filters, Price, Product
from tests.unit.retrieval.small_shop import SmallShop, event, product

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def priced(*prices: Price | None) -> list[Product]:
    return [Product(str(place), "thing", price=price) for place, price in enumerate(prices)]


def test_a_sum_is_of_true_prices_in_one_currency() -> None:
    assert total_of(priced(Price(100, "USD"), Price(0, "USD"))) == Price(100, "USD")
    assert total_of(priced(Price(100, "USD"), Price(100, "EUR"))) is None
    assert total_of(priced(Price(100, "USD"), None)) is None
    assert total_of([]) is None


def shop() -> SmallShop:
    things = [
        product("tent", "Dome Tent", "Tents"),
        product("pegs", "Tent Pegs", "Pegs"),
        product("milk", "Milk", "Dairy"),
    ]
    bought = [
        event(f"u{number}", thing, "purchase", time=NOON)
        for number in range(20)
        for thing in (("tent", "pegs") if number < 3 else ("milk",))
    ]
    return SmallShop(things, bought)


def test_an_erasure_reaches_the_rules() -> None:
    made = shop()
    bundles = Bundles(DeedLog(made.store), made.live, lambda: 0.0)
    (added,) = bundles.add_ons(["tent"], Filters(), 5).added
    assert (added.product.id, added.rule.support) == ("pegs", 3)
    made.store.erase_user("u0")
    assert bundles.add_ons(["tent"], Filters(), 5).added == ()


def test_the_sum_of_a_cart_leaves_nothing_out() -> None:
    made = SmallShop([product("tent", "Dome Tent", "Tents", price=9_900), product("pegs", "Pegs", "Pegs", price=500)])
    bundles = Bundles(DeedLog(made.store), made.live)

    def total(*cart: str) -> Price | None:
        return bundles.add_ons(cart, Filters(), 5).total

    assert total("tent", "pegs") == Price(10_400, "USD")
    assert total("tent", "tent", "pegs") == Price(20_300, "USD"), "twice what stands in it twice"
    assert total("tent", "nothing") is None, "what nothing is known of costs nobody knows what"


def test_a_cart_is_what_of_it_exists() -> None:
    made = shop()
    bundles = Bundles(DeedLog(made.store), made.live)
    assert [each.id for each in bundles.add_ons(["nothing", "tent", "tent"], Filters(), 5).products] == ["tent"]
    with pytest.raises(NotFound):
        bundles.add_ons(["nothing"], Filters(), 5)
