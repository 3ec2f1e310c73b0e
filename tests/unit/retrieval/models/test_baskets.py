"""Rules of baskets as candidates: because of whom, with which figures, and never of what is gone or not counted yet."""

from datetime import UTC, datetime

import numpy as np
import pytest

from retrieval.deed_log import DeedLog
from retrieval.live import Indexes
from retrieval.models.baskets import BasketSource
from retrieval.offers.baskets import BasketRules
from retrieval.offers.bundles import Bundles
from retrieval.recommend import RecommendationQuery, Recommender
from tasteline.ports import Need
from tasteline.types import Reason
from tests.unit.retrieval.small_shop import SmallShop, event, product

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASKETS = [("tent", "pegs", "fly")] * 4 + [("tent", "lamp")] * 3 + [("stove", "lamp")] * 5 + [("milk",)] * 30


def shop() -> SmallShop:
    things = [
        product("tent", "Dome Tent", "Tents"),
        product("pegs", "Tent Pegs", "Pegs"),
        product("lamp", "Camp Lamp", "Lamps"),
        product("fly", "Rain Fly", "Flies", stock=0),
        product("stove", "Gas Stove", "Stoves"),
        product("milk", "Milk", "Dairy"),
    ]
    bought = [
        event(f"u{number}", thing, "purchase", time=NOON) for number, basket in enumerate(BASKETS) for thing in basket
    ]
    return SmallShop(things, bought)


SHOP = shop()
RULES = Bundles(DeedLog(SHOP.store), SHOP.live).counted()


def indexes() -> Indexes:
    return SHOP.live.present


def anchored(*product_ids: str) -> Need:
    rows, weights = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    return Need(rows, weights, rows, weights, indexes().catalogue.rows(product_ids))


def proposed(*cart: str, without: str = "", k: int = 10) -> list[tuple[str, str]]:
    """(what, because of what)"""
    catalogue = indexes().catalogue
    allowed = catalogue.alive.copy()
    allowed[catalogue.rows([without])] = False
    rows, scores, because = BasketSource(lambda: RULES, indexes).propose(anchored(*cart), k, allowed)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert (scores > 0).all()
    return [
        (catalogue.product(row).id, catalogue.product(led).id)
        for row, led in zip(rows.tolist(), because.tolist(), strict=True)
    ]


def test_each_is_proposed_because_of_the_one_that_speaks_for_it_most() -> None:
    assert proposed("tent") == [("pegs", "tent"), ("lamp", "tent")]
    assert proposed("tent", "stove") == [("lamp", "stove"), ("pegs", "tent")]
    assert proposed("milk") == []


def test_nothing_that_is_not_allowed_or_out_of_stock() -> None:
    assert "fly" in {each.rule.other for each in RULES.add_ons(["tent"])}
    assert proposed("tent", without="pegs") == [("lamp", "tent")]
    assert proposed("tent", k=1) == [("pegs", "tent")]


def test_nothing_without_a_cart_or_before_anything_is_counted() -> None:
    asked: list[int] = []

    def never() -> BasketRules | None:
        asked.append(1)
        return None

    source = BasketSource(never, indexes)
    assert [len(part) for part in source.propose(anchored(), 5, indexes().catalogue.alive)] == [0, 0, 0]
    assert asked == []
    assert [len(part) for part in source.propose(anchored("tent"), 5, indexes().catalogue.alive)] == [0, 0, 0]
    assert asked == [1]


def test_the_reason_tells_the_figures_of_the_rule() -> None:
    row, led_by = (indexes().catalogue.rows([each])[0] for each in ("pegs", "tent"))
    source = BasketSource(lambda: RULES, indexes)
    assert source.relation(row, led_by) == Reason("together", "In 4 of 7 baskets with Dome Tent", ("tent",))
    assert source.relation(led_by, led_by) is None
    assert BasketSource(lambda: None, indexes).relation(row, led_by) is None


def recommender(made: SmallShop, bundles: Bundles) -> Recommender:
    source = BasketSource(bundles.rules, lambda: made.live.present)
    others = [each for each in made.recommender.sources if each.name != source.name]
    return made.recommender.asking([source, *others])


def reasons(asked: Recommender, *cart: str) -> dict[str, str]:
    query = RecommendationQuery(context="cart", cart=cart)
    return {item.product.id: item.reasons[0].text for item in asked.recommend(query).items}


def test_a_cart_is_answered_before_anything_is_counted_and_told_figures_after() -> None:
    made = shop()
    bundles = Bundles(DeedLog(made.store), made.live)
    asked = recommender(made, bundles)
    before = asked.recommend(RecommendationQuery(context="cart", cart=("tent",)))
    as_ever = made.recommender.recommend(RecommendationQuery(context="cart", cart=("tent",)))
    assert [item.product for item in before.items] == [item.product for item in as_ever.items]
    bundles.counted()  # waits for what the first question has begun
    after = reasons(asked, "tent")
    assert (after["pegs"], after["lamp"]) == ("In 4 of 7 baskets with Dome Tent", "In 3 of 7 baskets with Dome Tent")
    assert "baskets" not in " ".join(reasons(asked).values())  # an empty cart


@pytest.mark.parametrize("gone", ["u0", "u5"])
def test_an_erased_person_is_in_no_figure(gone: str) -> None:
    made = shop()
    bundles = Bundles(DeedLog(made.store), made.live)
    bundles.counted()
    made.store.erase_user(gone)
    bundles.follow()
    assert made.store.erasures() == 1
    bundles.counted()
    pegs = "In 3 of 6 baskets with Dome Tent" if gone == "u0" else "In 4 of 6 baskets with Dome Tent"
    found = reasons(recommender(made, bundles), "tent")
    assert found["pegs"] == pegs
    assert ("baskets" in found.get("lamp", "")) == (gone == "u0")  # two baskets are chance


def test_a_deleted_product_is_proposed_no_more() -> None:
    made = shop()
    bundles = Bundles(DeedLog(made.store), made.live)
    bundles.counted()
    made.delete("pegs")
    assert "pegs" not in reasons(recommender(made, bundles), "tent")


def test_a_shop_of_too_few_purchases_answers_as_before() -> None:
    made = SmallShop(SHOP.products, [event("u", each, "purchase", time=NOON) for each in ("tent", "pegs")] * 2)
    bundles = Bundles(DeedLog(made.store), made.live)
    bundles.counted()
    query = RecommendationQuery(context="cart", cart=("tent",))
    asked, as_ever = recommender(made, bundles).recommend(query), made.recommender.recommend(query)
    assert [(item.product, item.score, item.reasons) for item in asked.items] == [
        (item.product, item.score, item.reasons) for item in as_ever.items
    ]


def test_two_of_one_kind_go_together_where_baskets_say_so_often_and_only_then() -> None:
    sorts = [product(f"{name}", f"{name.title()} Yoghurt", "Yoghurt") for name in ("plum", "pear", "fig")]
    baskets = [("plum", "pear")] * 12 + [("plum", "fig")] * 4 + [("bread",)] * 60
    bought = [
        event(f"u{place}", each, "purchase", time=NOON) for place, basket in enumerate(baskets) for each in basket
    ]
    made = SmallShop([*sorts, product("bread", "Bread", "Bakery")], bought)
    bundles = Bundles(DeedLog(made.store), made.live)
    query = RecommendationQuery(context="cart", cart=("plum",))
    bundles.counted()
    found = recommender(made, bundles).recommend(query).items
    assert found[0].product.id == "pear"
    assert found[0].reasons == (Reason("together", "In 12 of 16 baskets with Plum Yoghurt", ("plum",)),)
    assert "fig" not in {item.product.id for item in found}
    assert not {"pear", "fig"} & {item.product.id for item in made.recommender.recommend(query).items}
