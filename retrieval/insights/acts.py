"""What all shoppers did, in columns: a million events in tens of megabytes, topped up with what came since.

Takes pages of deeds and the catalogue's products, gives `Acts`: one row for each event that says something of interest,
with numbers for person, topic, product and basket. A topic is a product's path to `LEVEL`: fine enough to act on, broad
enough that people share it. Knows no statistics.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from retrieval.insights.findings import Topic
from retrieval.interests import ATTENTION
from tasteline.ports import Deed
from tasteline.types import EventType, Product

LEVEL = 2
"""Names of a category path that make a topic: "Kitchen › Kettles"."""
DAY = 86_400_000_000
"""Microseconds."""
NOWHERE = -1
"""Number of the topic of a product without a category, or of one that is gone."""
UNTIMED = -1
"""Age of an act without a time."""
_WEIGHTS: Mapping[str, float] = {str(kind): weight for kind, weight in ATTENTION.items()}


class DeedStore(Protocol):
    """The two methods of `EventStore` that are needed here."""

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]: ...
    def erasures(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Acts:
    """Rows of people who looked at, wanted or bought something that has a topic.

    Columns of `table`: person, topic, product, basket (numbers), age (whole days before the last event; -1 where no
    time is known), weight (as for a person's interests), bought.
    """

    table: pl.DataFrame
    topics: Sequence[Topic]
    products: Sequence[Product]
    """By number; what the catalogue no longer has is not among the acts."""
    people: int
    last: int | None
    """Microseconds since 1970 of the last event with a time."""
    events: int
    """Events of people that were read, with those that say nothing."""

    @property
    def timed(self) -> pl.DataFrame:
        return self.table.filter(pl.col("age") >= 0)


def _empty() -> tuple[array[int], ...]:
    """Person, product, microseconds since 1970, bought, basket."""
    return array("l"), array("l"), array("q"), array("b"), array("l")


@dataclass(slots=True)
class ActLog:
    """The columns, kept in memory; `follow` reads what is new. Not thread-safe."""

    sequence: int = 0
    erasures: int = -1
    _people: dict[str, int] = field(default_factory=dict)
    _products: dict[str, int] = field(default_factory=dict)
    _baskets: dict[tuple[int, str], int] = field(default_factory=dict)
    _columns: tuple[array[int], ...] = field(default_factory=_empty)
    _weights: array[float] = field(default_factory=lambda: array("f"))
    events: int = 0

    def follow(self, store: DeedStore) -> None:
        """As of now; everything anew after an erasure, so that nothing of an erased person is left."""
        erasures = store.erasures()
        if erasures != self.erasures:
            fresh = ActLog()
            self.sequence, self.events, self.erasures = 0, 0, erasures
            self._people, self._products, self._baskets = fresh._people, fresh._products, fresh._baskets
            self._columns, self._weights = fresh._columns, fresh._weights
        for page in store.deeds(self.sequence):
            self._take(page)

    def _take(self, page: Iterable[Deed]) -> None:
        people, products, moments, bought, baskets = self._columns
        for sequence, user_id, product_id, kind, moment, _, session_id in page:
            self.sequence = sequence
            self.events += 1
            weight = _WEIGHTS.get(kind, 0.0)
            if product_id is None or not weight:
                continue
            person = self._people.setdefault(user_id, len(self._people))
            basket = session_id or (f"day {moment // DAY}" if moment is not None else f"act {sequence}")
            people.append(person)
            products.append(self._products.setdefault(product_id, len(self._products)))
            moments.append(-1 if moment is None else moment)
            bought.append(kind == EventType.PURCHASE)
            baskets.append(self._baskets.setdefault((person, basket), len(self._baskets)))
            self._weights.append(weight)

    def acts(self, products: Iterable[Product]) -> Acts:
        """With the topics of `products`, the catalogue as it is now."""
        topics, of_product, listed = _numbered(self._products, products)
        people, numbers, moments, bought, baskets = (np.array(column, dtype=np.int64) for column in self._columns)
        last = int(moments.max()) if len(moments) and moments.max() >= 0 else None
        ages = (
            np.full(len(moments), UNTIMED) if last is None else np.where(moments < 0, UNTIMED, (last - moments) // DAY)
        )
        table = pl.DataFrame(
            {
                "person": people.astype(np.uint32),
                "topic": of_product[numbers].astype(np.int32) if len(numbers) else np.zeros(0, dtype=np.int32),
                "product": numbers.astype(np.uint32),
                "basket": baskets.astype(np.uint32),
                "age": ages.astype(np.int32),
                "weight": np.array(self._weights, dtype=np.float32),
                "bought": bought.astype(np.bool_),
            }
        )
        return Acts(table.filter(pl.col("topic") >= 0), topics, listed, len(self._people), last, self.events)


def topic_of(product: Product) -> Topic | None:
    """The first names of its path; None without categories.

    >>> topic_of(Product("1", "Mill", categories=("Kitchen", "Coffee", "Grinders")))
    ('Kitchen', 'Coffee')
    """
    return product.categories[:LEVEL] or None


def _numbered(
    numbers: Mapping[str, int], products: Iterable[Product]
) -> tuple[list[Topic], NDArray[np.int32], list[Product]]:
    """Topics by number, the number of each product's topic, and the products by number (a stand-in where gone)."""
    topics: dict[Topic, int] = {}
    of_product = np.full(len(numbers), NOWHERE, dtype=np.int32)
    listed = [Product(product_id, "") for product_id in numbers]
    for product in products:
        number, topic = numbers.get(product.id), topic_of(product)
        if number is not None and topic is not None:
            listed[number] = product
            of_product[number] = topics.setdefault(topic, len(topics))
    return list(topics), of_product, listed
