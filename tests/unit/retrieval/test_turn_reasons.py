"""Reasons that tell of a turn."""

from datetime import datetime, timedelta

from retrieval.turn_reasons import with_turns
from tasteline.types import Event, RankedProduct, Reason
from tests.unit.retrieval.small_shop import SmallShop
from tests.unit.retrieval.test_timeline import years
from tests.unit.retrieval.turns import PRODUCTS, START, turned

OLD = Reason("history", "Because you viewed The pan", ("e",))


def reasons(history: list[Event], now: datetime, shop: SmallShop | None = None) -> dict[str, list[str]]:
    """Product → texts."""
    items = [RankedProduct(product, 1.0, (OLD,)) for product in PRODUCTS]
    told = with_turns(items, history, (shop or SmallShop(PRODUCTS)).live, now)
    return {item.product.id: [reason.text for reason in item.reasons] for item in told}


def test_only_products_of_the_topic_tell_of_the_turn_and_the_first_leads_with_it() -> None:
    history = turned(before=8, after=4, every=2)
    told = reasons(history, START + timedelta(days=22))
    assert told["tent"] == ["You turned to Outdoor this week", OLD.text]
    assert told["stove"] == [OLD.text, "You turned to Outdoor this week"]
    assert all(told[pid] == [OLD.text] for pid in ("kettle", "pan", "lamp", "rug"))


def test_its_evidence_are_events_with_that_topic_after_the_turn() -> None:
    history = turned(before=8, after=4, every=2)
    items = [RankedProduct(PRODUCTS[0], 1.0, ())]
    (told,) = with_turns(items, history, SmallShop(PRODUCTS).live, START + timedelta(days=22))
    assert set(told.reasons[0].evidence) == {event.id for event in history[16:21]}


def test_later_it_is_said_otherwise_and_then_no_more() -> None:
    history = turned(before=8, after=4, every=2)
    assert reasons(history, START + timedelta(days=30))["tent"][0] == "Lately you turned to Outdoor"
    assert reasons(history, START + timedelta(days=70))["tent"] == [OLD.text]


def test_who_has_not_turned_or_made_one_visit_only_hears_nothing_of_it() -> None:
    steady = turned(before=9, after=0)
    assert all(texts == [OLD.text] for texts in reasons(steady, START + timedelta(days=22)).values())
    assert all(texts == [OLD.text] for texts in reasons(steady[:2], START).values())
    assert all(texts == [OLD.text] for texts in reasons([], START).values())


def test_a_season_that_is_back_is_said_with_its_distance() -> None:
    told = reasons(years(40, 410, 770), START + timedelta(days=800))
    assert told["tent"][0] == "Back to Tents, as every year at this time"
    assert told["stove"] == [OLD.text]


def test_a_recommendation_quotes_the_turn() -> None:
    history = turned(before=8, after=4, every=2)
    shop = SmallShop(PRODUCTS, history)
    shop.recommender._now = lambda: START + timedelta(days=22)
    from retrieval.recommend import RecommendationQuery

    ranking = shop.recommender.recommend(RecommendationQuery(user_id="anna", limit=6))
    told = {item.product.id: [reason.text for reason in item.reasons] for item in ranking.items}
    assert all(
        any("turned to Outdoor" in text for text in texts) == (pid in ("tent", "stove")) for pid, texts in told.items()
    )
