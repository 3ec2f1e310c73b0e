"""Meaning alone: inner product of query and product vectors over the whole catalogue, exact.

Takes an Embedder and the products' vectors, gives a SearchSystem. No index that could lose a neighbour, no words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tasteline.ports import Embedder
from tasteline.types import Product, Vectors

_QUERIES_AT_ONCE = 256  # times 100,000 products: 100 MB of scores


class Dense:
    """Ranks every product by the cosine of its vector with the query's; equal scores by catalogue order."""

    name = "dense"

    def __init__(self, embedder: Embedder, ids: Sequence[str], vectors: Vectors, name: str = name) -> None:
        """`vectors` (len(ids), embedder.dimension): unit length, one for each id."""
        self.name = name
        if vectors.shape != (len(ids), embedder.dimension):
            raise ValueError(f"{vectors.shape} vectors for {len(ids)} products of dimension {embedder.dimension}")
        self._embedder = embedder
        self._ids = list(ids)
        self._vectors = vectors

    @classmethod
    def of(cls, embedder: Embedder, products: Sequence[Product], text: Callable[[Product], str]) -> Dense:
        """Embed `text(product)` of every product: minutes on a CPU for tens of thousands."""
        vectors = embedder.encode([text(product) for product in products], kind="document")
        return cls(embedder, [product.id for product in products], vectors)

    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        rankings: list[list[str]] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            scores = self._embedder.encode(queries[start : start + _QUERIES_AT_ONCE], kind="query") @ self._vectors.T
            rankings.extend([self._ids[row] for row in _best(row_scores, k)] for row_scores in scores)
        return rankings


def _best(scores: Vectors, k: int) -> list[int]:
    """Places of the k largest, best first, equal ones by place."""
    if k < len(scores):
        smallest = np.partition(scores, -k)[-k]
        candidates = np.flatnonzero(scores >= smallest)  # keeps all that tie at the edge, for the order to decide
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")[:k]
    return [int(place) for place in candidates[order]]
