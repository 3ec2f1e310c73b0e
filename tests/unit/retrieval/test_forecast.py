"""A person's next 30 days and who is leaving: facts in the reasons, a rule without a model, the model where one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from finetune.forecast import train_forecast
from retrieval.deed_log import DeedLog
from retrieval.forecast import BASELINE, Forecasting, Trained
from retrieval.shop_purchases import ShopPurchases
from tasteline.types import Event
from tests.unit.finetune.small_year import END, QUICK, shelf, year
from tests.unit.retrieval.small_shop import SmallShop, event, product

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTS = [
    product("beans", "Coffee Beans", "Kitchen", "Coffee"),
    product("filters", "Paper Filters", "Kitchen", "Coffee"),
    product("soap", "Soap", "Bath", "Soap"),
    product("card", "Gift Card"),
]


def bought(user: str, product_id: str, *days: float) -> list[Event]:
    return [event(user, product_id, "purchase", time=START + timedelta(days=day)) for day in days]


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def forecasting(
    shop: SmallShop, now: datetime, trained: Trained | None = None, clock: Clock | None = None
) -> Forecasting:
    purchases = ShopPurchases(DeedLog(shop.store), clock or Clock())
    return Forecasting(shop.store, shop.live, purchases, lambda: trained, now.timestamp)


@pytest.fixture
def shop() -> SmallShop:
    events = [
        *bought("anna", "beans", 0, 12, 24, 36, 48, 60),
        *bought("anna", "soap", 10),
        *bought("anna", "card", 11),
        *bought("ben", "soap", 0, 10, 20, 30),
        *bought("ben", "gone", 31),
        event("anna", "filters", "view_item", time=START),
        event("anna", "beans", "purchase", position=3),  # without a time nothing can be said of when
    ]
    return SmallShop(PRODUCTS, events)


def test_reasons_are_facts_and_the_rule_names_itself(shop: SmallShop) -> None:
    found = forecasting(shop, START + timedelta(days=400)).of_person("anna")
    assert found.model == BASELINE
    assert found.as_of == int((START + timedelta(days=60)).timestamp()) + 1  # the shop's newest purchase, not today
    assert [each.name for each in found.categories] == ["Coffee", "Soap"]
    coffee, soap = found.categories
    assert coffee.reason == "bought 6 times, every 12 days, last within the last day"
    assert soap.reason == "bought once, 50 days ago"
    assert coffee.probability > soap.probability > 0
    assert (found.products[0].name, found.products[0].title) == ("beans", "Coffee Beans")
    assert "card" in [each.name for each in found.products]
    assert (found.visits.times, found.visits.last_days) == (8, 0.0)
    assert 0 < found.comes < 1


def test_what_is_gone_is_not_forecast_and_a_new_purchase_counts_at_once(shop: SmallShop) -> None:
    asked = forecasting(shop, START + timedelta(days=400))
    assert "gone" not in [each.name for each in asked.of_person("ben").products]
    shop.append(*bought("ben", "beans", 61))
    found = asked.of_person("ben")
    assert [each.name for each in found.products] == ["soap", "beans"]
    assert found.as_of == int((START + timedelta(days=61)).timestamp()) + 1


def test_nothing_is_known_of_a_stranger(shop: SmallShop) -> None:
    found = forecasting(shop, START + timedelta(days=60)).of_person("nobody")
    assert (found.comes, found.categories, found.products) == (0.0, (), ())
    empty = forecasting(SmallShop(PRODUCTS), START).of_person("anna")
    assert (empty.comes, empty.as_of) == (0.0, int(START.timestamp()))


def test_who_is_leaving(shop: SmallShop) -> None:
    shop.append(*bought("carl", "soap", 5, 6))  # twice is no habit
    shop.append(*bought("eve", "soap", -140, -130, -120, -110))  # has left
    _, model, found = forecasting(shop, START + timedelta(days=400)).leaving()
    assert model == BASELINE
    assert [each.user_id for each in found] == ["ben", "anna"]
    ben = found[0]
    assert (ben.visits.times, ben.visits.last_days, ben.visits.gap_days) == (5, 29.0, 7.8)
    assert ben.overdue == pytest.approx(29 / 7.75, abs=0.05)
    assert ben.probability > found[1].probability
    assert len(forecasting(shop, START + timedelta(days=400)).leaving(limit=1)[2]) == 1


def test_the_lines_of_one_order_are_one_visit(shop: SmallShop) -> None:
    at = [START + timedelta(days=30, seconds=step) for step in (0, 1, 2)]
    shop.append(*(event("fay", thing, "purchase", time=time) for thing, time in zip("abc", at, strict=True)))
    asked = forecasting(shop, START + timedelta(days=60))
    visits = asked.of_person("fay").visits
    assert (visits.times, visits.gap_days) == (1, None)
    assert "fay" not in [each.user_id for each in asked.leaving()[2]]


def test_a_visit_counts_the_same_for_one_person_and_among_all(shop: SmallShop) -> None:
    """Ben last bought a product that no model knows: a visit for either question."""
    model = train_forecast(year(), shelf(), END, QUICK)
    asked = forecasting(shop, START + timedelta(days=400), Trained("t", model))
    alone = asked.of_person("ben")
    among = next(each for each in asked.leaving()[2] if each.user_id == "ben")
    assert (alone.visits.times, among.visits.times) == (5, 5)
    assert among.probability == pytest.approx(1 - alone.comes, abs=1e-9)


def test_everybody_follows_the_store_and_forgets_the_erased(shop: SmallShop) -> None:
    clock = Clock()
    purchases = ShopPurchases(DeedLog(shop.store), clock)
    assert purchases().people == ("anna", "ben")
    shop.append(*bought("dora", "soap", 70))
    assert purchases().people == ("anna", "ben")  # looked at a moment ago
    clock.seconds = 100
    assert purchases().people == ("anna", "ben", "dora")
    assert purchases().last == int((START + timedelta(days=70)).timestamp())
    shop.store.erase_user("anna")
    assert purchases().people == ("ben", "dora")
    assert len(purchases().bought) == 6
