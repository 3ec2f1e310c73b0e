"""A stranger's words: an order by what they mean, limits only where one is said, reasons that are true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from eval.metrics import measured, measures
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.newcomers import wished
from retrieval.recommend import RecommendationQuery
from tasteline.errors import EngineFailed
from tasteline.types import Filters, Product, Ranking, Vectors
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop, event, product

KINDS = {
    "Camping": ["Dome Tent", "Tunnel Tent", "Tent Tarp", "Down Sleeping Bag"],
    "Kitchen": ["Steel Teapot", "Glass Teapot", "Steel Cups", "Bread Knife"],
    "Office": ["Desk Lamp", "Oak Desk", "Paper Tray", "Steel Ruler"],
}
PRODUCTS: list[Product] = [
    product(title.lower().replace(" ", "-"), title, kind, price=1_000 * place, brand="Acme")
    for place, (kind, title) in enumerate(((kind, title) for kind, titles in KINDS.items() for title in titles), 1)
]
EVENTS = [event(f"u{i}", "desk-lamp", "purchase") for i in range(8)] + [event("u9", "glass-teapot")]
SHOP = SmallShop(PRODUCTS, EVENTS)
WANTED = {
    "I am looking for a dome tent": "dome-tent",
    "something like a steel teapot": "steel-teapot",
    "Can you recommend a sleeping bag?": "down-sleeping-bag",
    "bread knife": "bread-knife",
}


def welcome(wish: str = "", shop: SmallShop = SHOP, **fields: object) -> Ranking:
    return shop.recommender.recommend(RecommendationQuery(context="welcome", wish=wish, **fields))  # type: ignore[arg-type]


def ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def test_an_order_by_words_finds_what_is_wanted_and_one_by_popularity_does_not() -> None:
    rows = {each.id: row for row, each in enumerate(PRODUCTS)}
    wanted = np.array([[rows[each]] for each in WANTED.values()], dtype=np.int32)

    def ndcg(wishes: Sequence[str]) -> float:
        ranked = np.array([[rows[each] for each in ids(welcome(wish, limit=5))] for wish in wishes], dtype=np.int32)
        return float(measured(measures("ndcg@5"), ranked, wanted, np.ones((len(wanted), 1)))["ndcg@5"].mean())

    assert ndcg(list(WANTED)) > 0.9
    assert ndcg([""] * len(WANTED)) < 0.5


def test_popularity_settles_what_the_words_leave_open() -> None:
    assert ids(welcome("teapot"))[:2] == ["glass-teapot", "steel-teapot"]
    assert ids(welcome("steel teapot"))[0] == "steel-teapot"


def test_a_wish_narrows_nothing() -> None:
    wish = "kitchen things by Acme"
    assert set(ids(welcome(wish, limit=50))) >= {"steel-teapot", "desk-lamp"}
    assert welcome(wish).total == len(PRODUCTS)


def test_a_limit_that_is_said_is_kept_and_shown() -> None:
    ranking = welcome("a teapot under $60", limit=50)
    assert ids(ranking)[0] == "steel-teapot"
    assert all(item.product.price is not None and item.product.price.amount <= 6_000 for item in ranking.items)
    assert ranking.understood is not None
    assert [c.key for c in ranking.understood.constraints] == ["price"]
    assert ranking.total == 5  # the glass teapot costs exactly 60


def test_a_limit_that_nothing_keeps_is_named() -> None:
    ranking = welcome("a teapot under $1")
    assert ranking.items == ()
    assert [(r.constraint.key, r.would_match) for r in ranking.relaxations] == [("price", len(PRODUCTS))]


@pytest.mark.parametrize("wish", ["", "  "])
def test_an_empty_wish_is_the_popular_welcome(wish: str) -> None:
    ranking = welcome(wish)
    assert ids(ranking) == ids(welcome())
    assert ids(ranking)[0] == "desk-lamp"
    assert ranking.understood is None


def test_words_that_mean_nothing_here_leave_the_popular() -> None:
    assert ids(welcome("xyzzy"))[0] == "desk-lamp"
    assert welcome("xyzzy").items[0].reasons[0].kind == "popular"


def test_reasons_say_what_is_true() -> None:
    ranking = welcome("steel teapot", limit=4)
    reasons = {item.product.id: item.reasons[0] for item in ranking.items}
    assert (reasons["steel-teapot"].kind, reasons["steel-teapot"].text) == ("match", "Matches “steel”, “teapot”")
    assert reasons["glass-teapot"].text == "Matches “teapot”"
    assert all(reason.evidence == (key,) for key, reason in reasons.items())


def test_filters_of_the_request_hold() -> None:
    ranking = welcome("teapot", filters=Filters(categories=("Office",)), limit=50)
    assert ids(ranking)
    assert {item.product.categories[0] for item in ranking.items} == {"Office"}


def test_a_dead_embedder_leaves_the_words() -> None:
    class Dead(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
            raise EngineFailed("no answer")

    shop = SmallShop(PRODUCTS, EVENTS)
    shop.live.present.embedder = Dead(DIMENSION)
    assert ids(welcome("steel teapot", shop))[0] == "steel-teapot"


def test_what_a_wish_names_stays_to_be_matched() -> None:
    understood = wished("kitchen teapot by Acme under $60", SHOP._understand)
    assert [c.key for c in understood.constraints] == ["price"]
    assert set(understood.query.casefold().split()) >= {"kitchen", "teapot", "acme"}
