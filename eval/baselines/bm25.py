"""Words alone: BM25 as the service's own lexical index ranks it.

Takes a LexicalIndex and the products, gives a SearchSystem. No reading of constraints, no vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasteline.ports import LexicalIndex
from tasteline.types import Product


class Bm25:
    """Ranks by the words in title, brand, categories, attributes and description; an unmatched query gets no rows."""

    name = "bm25"

    def __init__(self, index: LexicalIndex, products: Sequence[Product]) -> None:
        """`index` must be empty: it is filled here, in the order of `products`."""
        if len(index):
            raise ValueError(f"the index already holds {len(index)} products; a baseline fills its own")
        self._index = index
        self._ids = [product.id for product in products]
        index.add(products)

    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        return [[self._ids[row] for row in self._index.search(query, k)[0]] for query in queries]
