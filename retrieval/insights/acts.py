"""What all shoppers did, as the shop-wide view wants it: a table with topics, from the log of deeds.

Takes `Deeds` and the catalogue's products, gives `Acts`: one row for each event that says something of interest, with
numbers for person, topic, product and basket. A topic is a product's path to `LEVEL`: fine enough to act on, broad
enough that people share it. Knows no statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from retrieval.deed_log import KINDS, NO_SESSION, Deeds
from retrieval.insights.findings import Topic
from retrieval.interests import ATTENTION
from tasteline.types import EventType, Product

LEVEL = 2
"""Names of a category path that make a topic: "Kitchen › Kettles"."""
DAY = 86_400_000_000
"""Microseconds."""
NOWHERE = -1
"""Number of the topic of a product without a category, or of one that is gone."""
UNTIMED = -1
"""Age of an act without a time."""
_WEIGHTS = np.array([*(ATTENTION.get(EventType(kind), 0.0) for kind in KINDS), 0.0], dtype=np.float32)
"""By number of the kind; the last one is of `NONE`."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, its bits without a pattern (the golden ratio's): neighbouring days get numbers far apart."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Rows of people who looked at, wanted or bought something that has a topic.

    Columns of `table`: person, topic, product (numbers), basket (equal for what is one), age (whole days before the
    last event; -1 where no time is known), weight (as for a person's interests), bought.
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


def acts_of(deeds: Deeds, products: Iterable[Product]) -> Acts:
    """With the topics of `products`, the catalogue as it is now."""
    said = deeds.where((deeds.product >= 0) & (_WEIGHTS[deeds.kind] > 0))
    topics, of_product, listed = _numbered(said.products, products)
    last = int(said.moment.max(initial=UNTIMED))
    ages = np.where(said.moment < 0, UNTIMED, (last - said.moment) // DAY)
    table = pl.DataFrame(
        {
            "person": said.person.astype(np.uint32),
            "topic": of_product[said.product],
            "product": said.product.astype(np.uint32),
            "basket": _baskets(said),
            "age": ages.astype(np.int32),
            "weight": _WEIGHTS[said.kind],
            "bought": said.kind == KINDS[EventType.PURCHASE],
        }
    )
    known = None if last < 0 else last
    return Acts(table.filter(pl.col("topic") >= 0), topics, listed, len(said.people), known, len(deeds))


def _baskets(said: Deeds) -> NDArray[np.uint64]:
    """Of one session; where none is named, of a person's day; without a time each act is its own."""
    day = np.where(said.moment < 0, -1 - np.arange(len(said)), said.moment // DAY)
    of_day = (day.astype(np.uint64) << np.uint64(32)) + said.person.astype(np.uint64)
    mixed = of_day * _SPREAD
    return np.where(said.session == NO_SESSION, mixed ^ (mixed >> np.uint64(31)), said.session.view(np.uint64))


def topic_of(product: Product) -> Topic | None:
    """The first names of its path; None without categories.

    >>> topic_of(Product("1", "Mill", categories=("Kitchen", "Coffee", "Grinders")))
    ('Kitchen', 'Coffee')
    """
    return product.categories[:LEVEL] or None


def _numbered(ids: Sequence[str], products: Iterable[Product]) -> tuple[list[Topic], NDArray[np.int32], list[Product]]:
    """Topics by number, the number of each product's topic, and the products by number (a stand-in where gone)."""
    topics: dict[Topic, int] = {}
    numbers = {product_id: number for number, product_id in enumerate(ids)}
    of_product = np.full(len(ids), NOWHERE, dtype=np.int32)
    listed = [Product(product_id, "") for product_id in ids]
    for product in products:
        number, topic = numbers.get(product.id), topic_of(product)
        if number is not None and topic is not None:
            listed[number] = product
            of_product[number] = topics.setdefault(topic, len(topics))
    return list(topics), of_product, listed
