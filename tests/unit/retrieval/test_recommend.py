"""Recommendations in every context: what is shown, what never is, and reasons that rest on what happened."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.fusion import fuse
from retrieval.recommend import JUST_TOUCHED, PERSONAL, WEIGHTS, Context, RecommendationQuery, _varied
from retrieval.search import SearchQuery
from retrieval.turning import turning_of
from tasteline.errors import NotFound
from tasteline.types import Event, Filters, Product, Ranking
from tests.unit.retrieval.small_shop import SmallShop, event, product

KINDS = {
    "Tents": ["Family Tent", "Dome Tent", "Tunnel Tent", "Trail Tent"],
    "Stoves": ["Gas Stove", "Wood Stove", "Trail Stove"],
    "Lamps": ["Camp Lamp", "Head Lamp", "Tent Lamp"],
    "Kettles": ["Enamel Kettle", "Copper Kettle", "Trail Kettle"],
}
PRODUCTS = [
    product(title.lower().replace(" ", "-"), title, "Outdoor", kind, price=1_000 * place, rating=4.0 + place / 20)
    for place, (kind, title) in enumerate(
        ((kind, title) for kind, titles in KINDS.items() for title in titles), start=1
    )
]
KIND_OF = {p.id: p.categories[-1] for p in PRODUCTS}
EVENTS = [
    event(f"u{i}", product_id, "purchase", position=step, id=f"b{i}-{step}")
    for i in range(4)
    for step, product_id in enumerate(("family-tent", "gas-stove", "camp-lamp"))
]
ANNA = [event("anna", "dome-tent", id="a1"), event("anna", "wood-stove", "add_to_cart", id="a2")]
SHOP = SmallShop(PRODUCTS, [*EVENTS, *ANNA])
CONTEXTS: list[Context] = ["home", "product", "similar", "cart", "welcome"]


def recommend(shop: SmallShop = SHOP, **fields: object) -> Ranking:
    return shop.recommender.recommend(RecommendationQuery(**fields))  # type: ignore[arg-type]


def ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def in_context(context: Context, **fields: object) -> RecommendationQuery:
    place = {"product": {"product_id": "family-tent"}, "similar": {"product_id": "family-tent"}}
    of = place.get(context, {"cart": ("family-tent",)} if context == "cart" else {})
    return RecommendationQuery(context=context, **of, **fields)  # type: ignore[arg-type]


def test_a_stranger_gets_the_popular_of_several_kinds() -> None:
    ranking = recommend(limit=4)
    assert ids(ranking)[0] in {"family-tent", "gas-stove", "camp-lamp"}
    assert len({KIND_OF[product_id] for product_id in ids(ranking)}) >= 3
    assert ranking.items[0].reasons[0].kind == "popular"
    assert ranking.total == len(PRODUCTS)


def test_where_nothing_is_counted_the_best_rated_lead_with_a_true_reason() -> None:
    new_shop = SmallShop([product(f"p{i}", f"Thing {i}", f"Kind {i}", rating=1.0 + i) for i in range(4)])
    ranking = recommend(new_shop, limit=4)
    rated = [item for item in ranking.items if item.reasons[0].text.startswith("Rated")]
    assert [item.product.id for item in rated] == sorted(ids(ranking), reverse=True)[: len(rated)]
    assert not any(item.reasons[0].text.startswith("Popular") for item in ranking.items)


def test_a_known_person_gets_what_follows_from_their_history() -> None:
    ranking = recommend(user_id="anna", limit=10)
    reasons = {reason.text: reason for item in ranking.items for reason in item.reasons if reason.kind == "history"}
    assert "Because you put Wood Stove in your cart" in reasons
    assert reasons["Because you put Wood Stove in your cart"].evidence == ("a2", "wood-stove")
    assert "Because you viewed Dome Tent" in reasons


def test_steps_of_the_session_follow_what_is_stored() -> None:
    session = (event(None, "enamel-kettle", id="step-0", position=0),)
    both = {item.reasons[0].evidence for item in recommend(user_id="anna", session=session, limit=8).items}
    assert {("step-0", "enamel-kettle"), ("a2", "wood-stove")} <= both
    alone = recommend(session=session, limit=3)
    assert {KIND_OF[product_id] for product_id in ids(alone)[:2]} == {"Kettles"}


def test_a_product_page_shows_similar_and_complementary_in_turn() -> None:
    ranking = recommend(context="product", product_id="family-tent", limit=6)
    assert [item.reasons[0].kind for item in ranking.items[:4]] == ["similar", "complement"] * 2
    assert "family-tent" not in ids(ranking)
    assert ids(ranking)[1] == "gas-stove"
    assert ranking.items[0].reasons[0].text == "Similar to Family Tent"


def test_similar_alone() -> None:
    ranking = recommend(context="similar", product_id="family-tent", limit=3)
    assert {item.reasons[0].kind for item in ranking.items} == {"similar"}
    assert KIND_OF[ids(ranking)[0]] == "Tents"


@pytest.mark.parametrize("cart", [("family-tent",), ("family-tent", "gas-stove"), ("family-tent", "gone")])
def test_what_complements_a_cart_is_never_of_its_kinds(cart: tuple[str, ...]) -> None:
    ranking = recommend(context="cart", cart=cart, limit=50)
    assert ranking.items
    assert not {KIND_OF[product_id] for product_id in ids(ranking)} & {KIND_OF.get(p) for p in cart}
    assert ranking.items[0].reasons[0].kind == "complement"


def test_what_is_in_the_cart_is_not_proposed_to_go_with_it() -> None:
    kindless = SmallShop([product("bag", "Bag"), product("mug", "Mug")], [event("u", "bag", "purchase")])
    assert ids(recommend(kindless, context="cart", cart=("bag",))) == []
    assert ids(recommend(kindless, context="cart", cart=("mug",))) == ["bag"]


def test_a_cart_of_nothing_is_an_answer() -> None:
    assert recommend(context="cart", limit=3).items
    assert recommend(context="cart", user_id="anna", limit=3).items


def test_a_page_of_a_product_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="gone"):
        recommend(context="product", product_id="gone")
    with pytest.raises(NotFound, match="gone"):
        recommend(context="cart", cart=("gone",))


@pytest.mark.parametrize("context", CONTEXTS)
@settings(max_examples=12, deadline=None)
@given(
    price=st.none() | st.integers(0, 14_000),
    categories=st.lists(st.sampled_from(list(KINDS)), max_size=2),
    excluded=st.frozensets(st.sampled_from(list(KIND_OF)), max_size=8),
    user=st.sampled_from([None, "anna", "u1", "nobody"]),
    limit=st.integers(1, 20),
)
def test_limits_hold_in_every_context(
    context: Context, price: int | None, categories: list[str], excluded: frozenset[str], user: str | None, limit: int
) -> None:
    filters = Filters(price_max=price, categories=tuple(categories), exclude_ids=excluded)
    ranking = SHOP.recommender.recommend(in_context(context, filters=filters, user_id=user, limit=limit))
    assert len(ranking.items) == len(set(ids(ranking))) <= limit
    for item in ranking.items:
        assert item.product.id not in excluded
        assert not categories or KIND_OF[item.product.id] in categories
        assert price is None or (item.product.price is not None and item.product.price.amount <= price)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("user", [None, "anna", "u1"])
def test_reasons_rest_on_events_and_products_that_exist(context: Context, user: str | None) -> None:
    ranking = SHOP.recommender.recommend(in_context(context, user_id=user, limit=20))
    known = {p.id for p in PRODUCTS} | {e.id for e in SHOP.store.history(user) if user}
    assert ranking.items
    for item in ranking.items:
        [reason] = item.reasons
        assert reason.text
        assert reason.evidence
        assert set(reason.evidence) <= known


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_longer_list_begins_as_the_short_one(context: Context) -> None:
    short, long = (SHOP.recommender.recommend(in_context(context, limit=limit)) for limit in (3, 13))
    assert ids(long)[:3] == ids(short)


def test_what_was_seen_is_left_out_where_that_is_asked() -> None:
    seen = {"dome-tent", "wood-stove"}
    assert not seen & set(ids(recommend(user_id="anna", exclude_seen=True, limit=50)))
    shown = SmallShop(PRODUCTS, [event("bo", "dome-tent"), event("bo", "head-lamp", "view_item_list")])
    assert not {"dome-tent", "head-lamp"} & set(ids(recommend(shown, user_id="bo", exclude_seen=True, limit=50)))
    everything = SmallShop(PRODUCTS, [event("bo", p.id) for p in PRODUCTS])
    assert ids(recommend(everything, user_id="bo", exclude_seen=True)) == []


def test_what_was_just_touched_is_not_proposed_where_people_seldom_buy_again() -> None:
    assert "wood-stove" not in ids(recommend(user_id="anna", limit=50))
    old = [event("bo", "dome-tent", "purchase"), *[event("bo", "head-lamp") for _ in range(JUST_TOUCHED)]]
    bought_long_ago = SmallShop(PRODUCTS, [*old, *[event("bo", p.id) for p in PRODUCTS[4:]]])
    assert "dome-tent" not in ids(recommend(bought_long_ago, user_id="bo", limit=50))


def test_within_narrow_limits_the_same_again_is_better_than_nothing() -> None:
    only_stoves = Filters(categories=("Stoves",))
    seen_all = SmallShop(PRODUCTS, [event("bo", p.id) for p in PRODUCTS if p.categories[-1] == "Stoves"])
    assert {KIND_OF[i] for i in ids(recommend(seen_all, user_id="bo", filters=only_stoves))} == {"Stoves"}


def test_where_people_buy_again_their_habits_come_back() -> None:
    grocer = SmallShop(PRODUCTS, [event("bo", "enamel-kettle", "purchase", id="k")] * 1, repeat_share=0.6)
    [first, *_] = recommend(grocer, user_id="bo").items
    assert first.product.id == "enamel-kettle"
    assert (first.reasons[0].text, first.reasons[0].evidence) == ("You chose this before", ("k",))


def test_what_is_searched_for_bounds_what_is_recommended() -> None:
    ranking = recommend(user_id="anna", query="kettle under $125", limit=50)
    assert {KIND_OF[product_id] for product_id in ids(ranking)} == {"Kettles"}
    assert ranking.understood is not None
    assert [c.key for c in ranking.understood.constraints] == ["price"]
    none = recommend(query="kettle under $1")
    assert none.items == ()
    assert none.relaxations


def test_products_of_the_history_that_are_gone_do_no_harm() -> None:
    shop = SmallShop(PRODUCTS, [*EVENTS, event("bo", "gone"), event("bo", "dome-tent"), event("bo", None, "search")])
    shop.delete("dome-tent", "gas-stove")
    for context in CONTEXTS:
        found = shop.recommender.recommend(in_context(context, user_id="bo", limit=20))
        assert not {"dome-tent", "gas-stove", "gone"} & set(ids(found))
        assert found.items


def test_an_empty_catalogue_is_an_empty_answer() -> None:
    empty = SmallShop((), [event("anna", "dome-tent")])
    for context in ("home", "cart", "welcome"):
        for user in (None, "anna"):
            assert recommend(empty, context=context, user_id=user).items == ()
    assert recommend(empty, user_id="anna", query="tent", exclude_seen=True).items == ()
    assert empty.recommender.interests("anna") == []


def test_interests_are_those_that_the_timeline_ends_with() -> None:
    """Of somebody who did more than a thousand things, too."""
    things = [product("copper", "Copper Kettle", "Kettles"), product("dome", "Dome Tent", "Tents")]
    start = datetime(2026, 3, 1, tzinfo=UTC)
    shown = [("copper", minute) for minute in range(500)] + [("dome", minute) for minute in range(500, 1_500)]
    done = [event("max", each, time=start + timedelta(minutes=minute)) for each, minute in shown]
    shop = SmallShop(things, done)
    lasting = {topic.topic: topic.long_term[-1] for topic in turning_of("max", shop.store, shop.live).timeline.topics}
    assert {each.topic: each.long_term for each in shop.recommender.interests("max")} == pytest.approx(lasting)


def test_an_event_changes_the_very_next_answer() -> None:
    shop = SmallShop(PRODUCTS, EVENTS)
    before = ids(recommend(shop, user_id="cleo"))
    shop.store.append_events([event("cleo", "copper-kettle")])
    after = recommend(shop, user_id="cleo")
    assert ids(after) != before
    assert "Copper Kettle" in after.items[0].reasons[0].text


def searched(shop: SmallShop, text: str = "trail") -> Ranking:
    return shop.searcher.search([SearchQuery(text, limit=20)])[0]


def test_personalised_moves_up_what_is_close_and_keeps_the_set() -> None:
    ranking = searched(SHOP)
    fan = SmallShop(PRODUCTS, [event("bo", "copper-kettle"), event("bo", "enamel-kettle")])
    moved = fan.recommender.personalised(ranking, "bo")
    assert sorted(ids(moved)) == sorted(ids(ranking))
    gained = {
        i.product.id: i.score - next(j.score for j in ranking.items if j.product == i.product) for i in moved.items
    }
    assert max(gained, key=gained.__getitem__) == "trail-kettle"
    assert ids(moved).index("trail-kettle") < ids(ranking).index("trail-kettle")
    assert max(gained.values()) <= PERSONAL
    assert [item.score for item in moved.items] == sorted((i.score for i in moved.items), reverse=True)
    assert (moved.id, moved.total, moved.understood) == (ranking.id, ranking.total, ranking.understood)


def test_personalised_leaves_strangers_and_other_orders_alone() -> None:
    ranking = searched(SHOP)
    assert SHOP.recommender.personalised(ranking, None) is ranking
    assert SHOP.recommender.personalised(ranking, "nobody") is ranking
    by_price = searched(SHOP, "cheapest trail tent")
    assert SHOP.recommender.personalised(by_price, "anna") is by_price
    gone = SmallShop(PRODUCTS, [event("anna", "gone")])
    assert gone.recommender.personalised(ranking, "anna") is ranking


def test_personalised_after_a_product_was_deleted_meanwhile() -> None:
    shop = SmallShop(PRODUCTS, ANNA)
    ranking = searched(shop)
    shop.delete(ids(ranking)[0])
    assert shop.recommender.personalised(ranking, "anna") is ranking


def test_where_variety_costs_nothing_the_best_stand_as_they_are_fused() -> None:
    rng = np.random.default_rng(0)
    lists = [
        (name, weight, rng.permutation(30)[:20], rng.integers(1, 6, 20).astype(np.float32))
        for name, weight in (("learned", 1.0), ("popular", 0.001), ("rated", 0.5))
    ]
    kinds = [(f"kind {row % 3}", f"row {row % 2}", f"model {row}") for row in range(30)]
    for limit in (1, 7, 100):
        assert fuse(lists, limit) == _varied(fuse(lists), lambda candidate: kinds[candidate.row], 1.0, limit)


def test_every_weighted_source_exists() -> None:
    assert {name for weights in WEIGHTS.values() for name in weights} == set(SHOP.recommender.source_names)


many: list[Product] = [product(f"m{i}", f"Thing {i}", f"Kind {i % 3}") for i in range(30)]


def test_variety_puts_other_kinds_between() -> None:
    clicks: list[Event] = [event(f"u{i}", f"m{j}") for j in range(0, 30, 3) for i in range(30 - j)]
    clicks += [event("z", f"m{j}") for j in (1, 2)]
    ranking = recommend(SmallShop(many, clicks), limit=5)
    assert len({item.product.categories[-1] for item in ranking.items}) >= 2
