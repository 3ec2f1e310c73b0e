"""A shop of real parts, small enough for unit tests: SQLite in memory, hashing vectors, tantivy words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex
from retrieval.adapters.store_sql import SqlStore
from retrieval.adapters.vectors_numpy import NumpyVectorIndex
from retrieval.facets import Guide
from retrieval.live import Indexes, LiveIndex
from retrieval.models.baskets import BasketSource
from retrieval.models.behaviour import BehaviourCounts
from retrieval.models.sources import (
    CooccurrenceSource,
    HabitSource,
    LikenessSource,
    NewSource,
    PopularSource,
    RatedSource,
)
from retrieval.newcomers import Newcomers
from retrieval.offers.baskets import BasketRules
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from retrieval.understanding import Vocabulary, understand
from retrieval.welcome import Welcome
from tasteline.types import Event, EventType, Price, Product, Understood

DIMENSION = 256


def product(product_id: str, title: str, *categories: str, price: int | None = None, **fields: object) -> Product:
    money = None if price is None else Price(price, "USD")
    return Product(product_id, title, categories=categories, price=money, **fields)  # type: ignore[arg-type]


def numbered() -> Iterator[str]:
    return (f"id-{number}" for number in count())


_event_ids = count()


def event(user: str | None, product_id: str | None, kind: str = "view_item", **fields: object) -> Event:
    event_id = str(fields.pop("id", f"e{next(_event_ids)}"))
    return Event(event_id, EventType(kind), user_id=user, product_id=product_id, **fields)  # type: ignore[arg-type]


def new_live(store: SqlStore, dimension: int = DIMENSION) -> LiveIndex:
    return LiveIndex(store, HashingEmbedder(dimension), NumpyVectorIndex, TantivyLexicalIndex)


@dataclass
class SmallShop:
    """`sync()` after a change of the catalogue, `count()` after new events."""

    products: Sequence[Product] = ()
    events: Sequence[Event] = ()
    repeat_share: float = 0.0
    counts: BehaviourCounts = field(default_factory=BehaviourCounts)
    rules: BasketRules | None = None

    def __post_init__(self) -> None:
        self.store = SqlStore("sqlite://")
        self.live = new_live(self.store)
        self.put(*self.products)
        self.append(*self.events)
        ids = numbered()
        self.searcher = Searcher(self.live, self._understand, lambda: self.counts, lambda: next(ids))
        sources = (
            BasketSource(lambda: self.rules, self._indexes),
            CooccurrenceSource(lambda: self.counts, self._indexes),
            LikenessSource(self._indexes),
            PopularSource(lambda: self.counts, self._indexes),
            RatedSource(self._indexes),
            HabitSource(),
            NewSource(lambda: self.counts, self._indexes),
        )
        self.newcomers = Newcomers(self.live, self._understand, lambda: self.counts, self._questions)
        self.recommender = Recommender(
            self.live,
            self.store,
            sources,
            self.searcher,
            lambda: self.repeat_share,
            lambda: next(ids),
            newcomers=self.newcomers,
        )

    def _understand(self, text: str, ignore: Collection[str]) -> Understood:
        return understand(text, self.vocabulary, ignore)

    def _indexes(self) -> Indexes:
        return self.live.present

    def put(self, *products: Product) -> None:
        self.store.put_products(products)
        self.sync()

    def delete(self, *ids: str) -> None:
        self.store.delete_products(ids)
        self.sync()

    def sync(self) -> None:
        self.live.sync()
        with self.live.read() as indexes:
            self.vocabulary = Vocabulary.from_products(list(indexes.catalogue.products()))
        self._guided()

    def append(self, *events: Event) -> None:
        self.store.append_events(events)
        self.counts = BehaviourCounts.fit(self.store.events())
        self._guided()

    def _questions(self, indexes: Indexes) -> Welcome | None:
        return self.guide(indexes)

    def _guided(self) -> None:
        self.guide = Guide(self.live, lambda: self.counts)
        self.guide.follow()
