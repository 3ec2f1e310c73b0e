"""What paid places cost: searches of the demo shop with a twentieth of its products sponsored, under several bounds.

Takes products and settings, gives a Measured: relevance of the list as it is, with places paid for within a bound, and
with the same products in fixed places, as shops usually do it. Queries are made from the catalogue
(`eval.known_item`), each with the products that answer it; who sponsors is drawn by lot and knows nothing of queries.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.bootstrap import open_shop
from app.engines import open_store
from app.indexing import build_index
from app.shop import Shop
from eval.known_item import KnownItemQuery, known_item_queries
from eval.measured import Measured, SystemResult, Values, named
from eval.metrics import judged_labels, labels_of, ndcg_at_k, padded, recall_at_k
from retrieval.offers.sponsoring import DEPTH, Sponsored, placed
from retrieval.search import SearchQuery
from tasteline.settings import Settings
from tasteline.types import Product, RankedProduct

BOUNDS = (0.05, 0.1, 0.2)
SLOTS = 2
FIXED = (1, 4)
"""Second and fifth place."""
SHARE = 0.05
QUERIES = 60
"""Of each form."""
K = 10

Placing = Callable[[Sequence[RankedProduct]], Sequence[RankedProduct]]
"""A long ranking → the one that is shown, paid places labelled."""


def measure(
    products: Sequence[Product], settings: Settings, seed: int, told: Callable[[str], None] = lambda name: None
) -> Measured:
    started = time.perf_counter()
    queries = known_item_queries(products, each=QUERIES, seed=seed)
    paying = sponsors(products, seed)
    with _shop(products, settings) as shop:
        told("searches")
        found = shop.searcher.search([SearchQuery(query.text, limit=DEPTH) for query in queries])
    rankings = [ranking.items for ranking in found]
    results = {
        name: SystemResult(_values(queries, [placing(each)[:K] for each in rankings]))
        for name, placing in placings(paying).items()
    }
    return Measured(
        task="offers",
        dataset="demo shop",
        checksum=hashlib.sha256("\n".join(map(repr, products)).encode()).hexdigest(),
        protocol=_protocol(len(queries), len(paying), len(products)),
        cases=tuple(f"{place}: {query.text}" for place, query in enumerate(queries)),
        systems=results,
        slices=[named("form", [query.form for query in queries])],
        headline=(f"ndcg@{K}", f"recall@{K}"),
        settings={"slots": SLOTS, "share": SHARE, "k": K},
        seed=seed,
        seconds=time.perf_counter() - started,
        resamples=2_000,
        reference="unsponsored",
    )


def _protocol(queries: int, paying: int, products: int) -> str:
    places = " and ".join(str(place + 1) for place in FIXED)
    return (
        f"known items: {queries} queries made from the catalogue; {paying} of {products} products sponsored, drawn by "
        f"lot; bound_x: {SLOTS} slots, a product is put above another only with (1 - x) of its score or more; "
        f"fixed_slots: the same products, the best matching first, in places {places} whatever their score; paid@{K}: "
        f"places paid for among the first {K}"
    )


def sponsors(products: Sequence[Product], seed: int) -> frozenset[str]:
    chance = np.random.default_rng(seed)
    drawn = chance.choice(len(products), max(1, round(SHARE * len(products))), replace=False)
    return frozenset(products[place].id for place in drawn.tolist())


def placings(paying: frozenset[str]) -> dict[str, Placing]:
    return {
        "unsponsored": lambda items: items,
        **{f"bound_{bound:g}": _bounded(Sponsored(paying, SLOTS, bound)) for bound in BOUNDS},
        "fixed_slots": lambda items: fixed(items, paying),
    }


def _bounded(sponsored: Sponsored) -> Placing:
    return lambda items: placed(items, sponsored, K)


def fixed(items: Sequence[RankedProduct], paying: frozenset[str]) -> list[RankedProduct]:
    """The first sponsored products of the ranking in their fixed places; those that stand higher anyway stay."""
    result = list(items)
    chosen = [item for item in items[FIXED[0] + 1 :] if item.product.id in paying]
    for place, item in zip(FIXED, chosen, strict=False):
        at = result.index(item)
        if at > place:
            result.insert(place, replace(result.pop(at), sponsored=True))
    return result


def _values(queries: Sequence[KnownItemQuery], rankings: Sequence[Sequence[RankedProduct]]) -> dict[str, Values]:
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): 1.0 for each in sorted(query.relevant)} for query in queries])
    rows = padded([[number(item.product.id) for item in row] for row in rankings], width=K)
    ranked = labels_of(rows, items, judged)
    paid = np.array([sum(item.sponsored for item in row) for row in rankings], dtype=np.float64)
    return {
        f"ndcg@{K}": ndcg_at_k(ranked, judged, K),
        f"recall@{K}": recall_at_k(ranked, judged, K, capped=True),
        f"paid@{K}": paid,
    }


@contextmanager
def _shop(products: Sequence[Product], settings: Settings) -> Iterator[Shop]:
    """The demo shop's catalogue in a home of its own; nobody has done anything in it yet."""
    home = settings.home / "eval" / "sponsoring"
    chosen = settings.model_copy(update={"home": Path(home), "language_model": "none", "database_url": None})
    with closing(open_store(chosen)) as store:
        store.put_products(products)
    build_index(chosen)
    with closing(open_shop(chosen)) as shop:
        yield shop
