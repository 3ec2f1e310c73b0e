"""What the products that a person touched are about: topics named in the catalogue's own words.

Takes product ids and the indexes of the moment; gives each product that still exists a topic at two widths: its
narrowest category, by which interests are named everywhere, and the broadest one that still tells this shop's goods
apart, by which turns are noticed. A feed without categories, or one whose narrowest holds a large part of all it sells,
gets topics from `retrieval.topic_clusters`. Knows no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.interests import topic_of
from retrieval.live import Indexes
from retrieval.topic_clusters import clusters, names_of
from tasteline.types import Product

COARSE = 0.25
"""Share of a catalogue beyond which a category says little: two of three grocery lines are "GROCERY"."""
COARSE_PRODUCTS = 200
"""With fewer products than this, a category is narrow enough whatever its share."""
BACKGROUND = 400
"""Titles drawn evenly from the catalogue, against which a cluster's words are telling."""


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    broad: str
    """The same as `name` where nothing broader tells anything."""


def topics_of(product_ids: Sequence[str], indexes: Indexes) -> Mapping[str, Topic]:
    """Of each product that exists; call within `LiveIndex.read()`."""
    catalogue = indexes.catalogue
    there = {pid: catalogue.product(row) for pid in product_ids if (row := catalogue.row(pid)) is not None}
    found = by_category(there, catalogue)
    return found | _clustered({pid: p for pid, p in there.items() if pid not in found}, indexes)


def by_category(products: Mapping[str, Product], catalogue: Catalogue) -> dict[str, Topic]:
    """Of those whose category tells something."""
    grouped = {pid: p for pid, p in products.items() if p.categories and not _is_coarse(catalogue, p.categories[-1])}
    level = _broad_level(catalogue, list(grouped.values()))
    return {pid: Topic(topic_of(p), p.categories[min(level, len(p.categories) - 1)]) for pid, p in grouped.items()}


def _is_coarse(catalogue: Catalogue, category: str) -> bool:
    held = catalogue.holding(category)
    return held >= COARSE_PRODUCTS and held > COARSE * len(catalogue)


def _broad_level(catalogue: Catalogue, products: Sequence[Product]) -> int:
    """The first level of the category paths at which none of these products is in a coarse one."""
    deepest = max((len(product.categories) for product in products), default=1)
    for level in range(deepest - 1):
        names = {product.categories[min(level, len(product.categories) - 1)] for product in products}
        # In a small shop no category is coarse by size, but one that holds all a person touched tells nothing.
        if len(names) > 1 and not any(_is_coarse(catalogue, name) for name in names):
            return level
    return deepest - 1


def _clustered(products: Mapping[str, Product], indexes: Indexes) -> dict[str, Topic]:
    if not products:
        return {}
    vectors = indexes.vectors.vectors(indexes.catalogue.rows(products))
    codes = clusters(vectors)
    names = names_of([product.title for product in products.values()], codes, _background(indexes.catalogue))
    return {pid: Topic(names[code], names[code]) for pid, code in zip(products, codes.tolist(), strict=True)}


def _background(catalogue: Catalogue) -> list[str]:
    rows = np.flatnonzero(catalogue.alive)
    drawn = rows[np.linspace(0, len(rows) - 1, min(BACKGROUND, len(rows)), dtype=np.int64)]
    return [catalogue.product(int(row)).title for row in drawn]
