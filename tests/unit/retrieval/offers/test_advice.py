"""Advice: its expectation is a true count or the model's probability, its order follows, its products exist."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from retrieval.deed_log import DeedLog
from retrieval.offers import taste
from retrieval.offers.advice import LEAST_TRIED, PRIOR, RULES, expectations, personal_advice, shop_advice
from retrieval.offers.adviser import NO_TIMES, Adviser
from retrieval.offers.deeds import BOUGHT, CARTED, DAY, SCHEMA
from retrieval.offers.response import FILE, ResponseModel
from retrieval.registry import Registry
from tasteline.types import Product
from tests.unit.retrieval.small_shop import SmallShop, event, product
from tests.unit.retrieval.trained import card

TODAY = 1_000
TOPICS = pl.DataFrame({"product": ["dome", "gas"], "topic": ["Tents", "Stoves"]})
PRODUCTS = {"dome": Product("dome", "Dome Tent"), "gas": Product("gas", "Gas Stove", stock=0)}


def deeds(rows: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    """(person, product, kind, days ago)"""
    made = [(person, thing, kind, (TODAY - ago) * DAY, TODAY - ago) for person, thing, kind, ago in rows]
    return pl.DataFrame(made, schema=SCHEMA, orient="row").sort("person", "moment", maintain_order=True)


def a_month_ago(carts: int, came: int, thing: str = "dome") -> list[tuple[str, str, int, int]]:
    """So many left a cart 35 days ago, the first of them bought 20 days ago."""
    left = [(f"old-{thing}-{number}", thing, CARTED, 35) for number in range(carts)]
    return left + [(f"old-{thing}-{number}", thing, BOUGHT, 20) for number in range(came)]


def test_what_is_expected_was_counted() -> None:
    rows = [*a_month_ago(30, 9), *a_month_ago(10, 1, "gas"), ("new", "dome", CARTED, 1)]
    expected = expectations(deeds(rows), TOPICS, TODAY)
    general = 10 / 40
    advice = shop_advice(deeds(rows), TOPICS, expected, PRODUCTS.get, 5)
    assert advice.basis == RULES
    (offer,) = advice.offers
    assert offer.expected == pytest.approx((9 + PRIOR * general) / (30 + PRIOR))
    assert (offer.sign, offer.topic, offer.people, offer.whom) == ("cart", "Tents", 1, ("new",))
    assert advice.as_of == date(1970, 1, 1) + timedelta(days=TODAY)


def test_a_topic_of_which_nothing_was_counted_has_the_rate_of_the_sign() -> None:
    rows = [*a_month_ago(40, 10), ("new", "gas", CARTED, 1)]
    (offer,) = shop_advice(deeds(rows), TOPICS, expectations(deeds(rows), TOPICS, TODAY), PRODUCTS.get, 5).offers
    assert offer.expected == pytest.approx(0.25)


def test_too_few_let_expect_nothing() -> None:
    rows = [*a_month_ago(LEAST_TRIED - 1, 5), ("new", "dome", CARTED, 1)]
    (offer,) = shop_advice(deeds(rows), TOPICS, expectations(deeds(rows), TOPICS, TODAY), PRODUCTS.get, 5).offers
    assert offer.expected is None


def test_most_expected_responses_come_first_and_what_is_gone_is_not_named() -> None:
    rows = a_month_ago(40, 10) + [(f"new-{n}", "gas", CARTED, 1) for n in range(3)] + [("one", "dome", CARTED, 2)]
    offers = shop_advice(deeds(rows), TOPICS, expectations(deeds(rows), TOPICS, TODAY), PRODUCTS.get, 5).offers
    assert [(offer.topic, offer.people) for offer in offers] == [("Stoves", 3), ("Tents", 1)]
    assert offers[0].products == ()  # none in stock
    assert offers[1].products == (PRODUCTS["dome"],)
    assert offers[0].why == "3 people have left Stoves in the cart within 14 days"
    assert offers[0].events == 3


def test_a_person_is_told_of_their_own_deeds() -> None:
    rows = deeds([*a_month_ago(40, 10), ("new", "gas", CARTED, 2)])
    own = rows.filter(pl.col("person") == "new")
    (offer,) = personal_advice(own, TOPICS, expectations(rows, TOPICS, TODAY), PRODUCTS.get, 5).offers
    assert offer.why == "Left Stoves in the cart, last yesterday"
    assert offer.whom == ("new",)


def model(names: tuple[str, ...] = taste.FEATURES) -> ResponseModel:
    """Knows only how often the topic was bought."""
    weights = np.array([1.0 if name == "group_visits" else 0.0 for name in names])
    return ResponseModel(
        names, (0.0,) * len(names), (1.0,) * len(names), tuple(weights.tolist()), -2.0, "two campaigns"
    )


def test_a_response_model_takes_the_place_of_the_counts() -> None:
    new = [("new", "dome", BOUGHT, 100), ("new", "dome", CARTED, 1), ("one", "gas", CARTED, 1)]
    rows = deeds([*a_month_ago(40, 40), *new])
    advice = shop_advice(rows, TOPICS, expectations(rows, TOPICS, TODAY, model()), PRODUCTS.get, 5)
    bought_once, never = 1 / (1 + np.exp(2 - np.log(2))), 1 / (1 + np.exp(2))
    assert [offer.expected for offer in advice.offers] == pytest.approx([bought_once, never])
    assert "two campaigns" in advice.basis
    assert "not what the offer brings" in advice.basis


def test_of_one_person_the_model_says_what_it_says_among_all() -> None:
    """What the topic reaches is a figure of the whole shop: of the person's own purchases it would be 1."""
    weights = tuple(1.0 if name == "group_reach" else 0.0 for name in taste.FEATURES)
    knows_reach = replace(model(), weights=weights)
    rows = deeds(
        [*((f"p{n}", "gas", BOUGHT, 9) for n in range(9)), ("new", "dome", BOUGHT, 80), ("new", "dome", CARTED, 1)]
    )
    expected = expectations(rows, TOPICS, TODAY, knows_reach)
    (among,) = shop_advice(rows, TOPICS, expected, PRODUCTS.get, 5).offers
    (alone,) = personal_advice(rows.filter(pl.col("person") == "new"), TOPICS, expected, PRODUCTS.get, 5).offers
    assert among.expected == pytest.approx(1 / (1 + np.exp(2 - 1 / 10)))
    assert alone.expected == among.expected


# --- the running shop's ----------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shop() -> SmallShop:
    dome = product("dome", "Dome Tent", "Outdoor", "Tents", price=9_900)
    return SmallShop([dome], [event("ann", "dome", "add_to_cart", time=NOON, id="a1"), event("bob", "dome", time=NOON)])


def test_a_shop_and_a_person_are_advised(tmp_path: Path) -> None:
    made = shop()
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path)
    (offer,) = adviser.shop().offers
    assert (offer.whom, offer.products[0].price) == (("ann",), made.products[0].price)
    assert adviser.person("ann").offers[0].why.startswith("Left Tents in the cart")
    assert adviser.person("nobody").offers == ()


def test_what_was_done_on_the_last_day_was_done_today(tmp_path: Path) -> None:
    made = shop()
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path)
    assert adviser.person("ann").offers[0].why == "Left Tents in the cart, last today"


def test_a_habit_behind_a_thousand_looks_is_still_a_habit(tmp_path: Path) -> None:
    """The shop's advice knows it, and so must the person's."""
    dome, lamp = product("dome", "Dome Tent", "Tents"), product("lamp", "Lamp", "Lamps")
    bought = [event("ann", "dome", "purchase", time=NOON + timedelta(days=day)) for day in (0, 30, 60)]
    looks = [event("ann", "lamp", time=NOON + timedelta(days=120, seconds=each)) for each in range(1_001)]
    made = SmallShop([dome, lamp], [*bought, *looks])
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path)
    (shops,) = (offer for offer in adviser.shop().offers if offer.sign == "lapsed")
    assert [offer.topic for offer in adviser.person("ann").offers if offer.sign == "lapsed"] == [shops.topic]


def test_a_persons_own_events_count_at_once(tmp_path: Path) -> None:
    made = shop()
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path, lambda: 0.0)
    adviser.shop()
    made.append(event("bob", "dome", "add_to_cart", time=NOON + timedelta(days=2)))
    assert adviser.person("bob").offers
    assert adviser.person("bob").as_of == date(2026, 3, 4)


def test_an_erasure_is_seen_at_once(tmp_path: Path) -> None:
    made = shop()
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path, lambda: 0.0)
    assert adviser.shop().offers
    made.store.erase_user("ann")
    assert not adviser.shop().offers


def test_the_live_model_is_used_and_one_that_does_not_fit_is_not(tmp_path: Path) -> None:
    made, registry = shop(), Registry(tmp_path)
    adviser = Adviser(DeedLog(made.store), made.store, made.live, tmp_path, lambda: 0.0)
    assert adviser.shop().basis == RULES
    for number, names in enumerate((taste.FEATURES, ("other",))):
        made_card = card(number, kind="offers")
        registry.register(made_card, lambda folder, names=names: model(names).write(folder / FILE))  # type: ignore[misc]
        registry.promote(made_card.id)
        basis = adviser.shop().basis
        assert ("two campaigns" in basis) if names == taste.FEATURES else (basis == RULES)
    registry.rollback("offers")
    assert "two campaigns" in adviser.shop().basis


def test_events_without_times_say_nothing(tmp_path: Path) -> None:
    made = SmallShop([product("dome", "Dome Tent", "Tents")], [event("ann", "dome", position=1)])
    assert Adviser(DeedLog(made.store), made.store, made.live, tmp_path).shop().basis == NO_TIMES
