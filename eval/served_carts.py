"""The cart context of this service, asked for each cart as a request would: with and without the rules of its baskets.

Takes settings and what may be counted, gives rankers for `eval.cart_addons`. The shop has the products of
completejourney and knows the purchases that may be counted, nothing else; it is kept by their checksum, and vectors are
computed once for all such shops. Knows no hidden product and no metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import polars as pl

from app.bootstrap import open_shop
from app.engines import open_store
from app.indexing import build_index
from app.shop import Shop
from eval.cart_addons import Fit, K, Question, Ranker
from eval.served_next_item import start_from_known_vectors
from retrieval.importing.completejourney import PRODUCTS, data_folder, read_completejourney_products
from retrieval.importing.feed import Feed
from retrieval.models.baskets import BasketSource
from retrieval.recommend import RecommendationQuery, Recommender
from tasteline.ports import Store
from tasteline.settings import Settings
from tasteline.types import Event, EventType, Product

BEFORE, WITH_RULES = "context_cart_without_rules", "context_cart"
AT_ONCE = 5_000


@contextmanager
def served_carts(settings: Settings, checksum: str) -> Iterator[Mapping[str, Fit]]:
    """Name → what opens the shop and asks it; both ask the same shop, which is closed in the end."""
    with ExitStack() as stack:
        shops: dict[int, Shop] = {}

        def shop_of(known: pl.DataFrame) -> Shop:
            day = int(known["day"].max())  # type: ignore[arg-type]
            if day not in shops:
                shops[day] = stack.enter_context(_shop(settings, f"{checksum[:16]}-until-{day}", known))
            return shops[day]

        yield {
            BEFORE: lambda known: ranker(without_rules(shop_of(known).recommender)),
            WITH_RULES: lambda known: ranker(shop_of(known).recommender),
        }


def ranker(recommender: Recommender) -> Ranker:
    """Nobody is told whose cart it is."""

    def rank(questions: Sequence[Question]) -> list[list[str]]:
        queries = (RecommendationQuery(context="cart", cart=asked.cart, limit=K) for asked in questions)
        return [[item.product.id for item in recommender.recommend(query).items] for query in queries]

    return rank


def without_rules(recommender: Recommender) -> Recommender:
    """The same, as it was before it knew any."""
    return recommender.asking([each for each in recommender.sources if not isinstance(each, BasketSource)])


@contextmanager
def _shop(settings: Settings, name: str, known: pl.DataFrame) -> Iterator[Shop]:
    """Ready, its baskets counted."""
    homes = settings.home / "eval"
    chosen = settings.model_copy(update={"home": homes / name, "language_model": "none", "database_url": None})
    start_from_known_vectors(homes, chosen.home)
    store = open_store(chosen)
    try:
        if not store.revision():
            _fill(store, known)
    finally:
        store.close()
    build_index(chosen)
    shop = open_shop(chosen)
    try:
        shop.retrieval.bundles.counted()
        yield shop
    finally:
        shop.close()


def _fill(store: Store, known: pl.DataFrame) -> None:
    """Events first: a store that has products is whole."""
    for part in known.with_row_index().iter_slices(AT_ONCE):
        rows = zip(*(part[name].to_list() for name in ("index", "person", "product", "moment")), strict=True)
        store.append_events(
            [
                Event(
                    f"line:{number}",
                    EventType.PURCHASE,
                    person,
                    product_id=product,
                    time=datetime.fromtimestamp(moment / 1_000_000, UTC),
                )
                for number, person, product, moment in rows
            ]
        )
    read = read_completejourney_products(Feed(data_folder() / PRODUCTS))
    store.put_products([each for each in read if isinstance(each, Product)])
