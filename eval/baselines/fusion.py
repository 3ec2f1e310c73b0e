"""Plain reciprocal-rank fusion of other systems: what anyone would try first.

Takes SearchSystems, gives one. Sees ranks only, neither scores nor texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.search import SearchSystem

RRF_K = 60  # Cormack, Clarke and Büttcher, SIGIR 2009


class Fusion:
    """score(p) = sum over systems of weight / (60 + rank of p), ranks from 1; equal scores in the systems' order."""

    name = "fusion"

    def __init__(self, systems: Sequence[SearchSystem], weights: Sequence[float], depth: int = 100) -> None:
        """`depth`: how far each system's ranking is read, at least."""
        if len(systems) != len(weights):
            raise ValueError(f"{len(weights)} weights for {len(systems)} systems")
        self._systems = tuple(systems)
        self._weights = tuple(weights)
        self._depth = depth

    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        rankings = [system.rank(queries, max(k, self._depth)) for system in self._systems]
        return [reciprocal_rank_fusion(of_query, self._weights)[:k] for of_query in zip(*rankings, strict=True)]


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]], weights: Sequence[float]) -> list[str]:
    """One ranking out of several.

    >>> reciprocal_rank_fusion([["a", "b"], ["b", "c"]], weights=[0.5, 0.5])
    ['b', 'a', 'c']
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, product_id in enumerate(ranking, start=1):
            scores[product_id] = scores.get(product_id, 0.0) + weight / (RRF_K + rank)
    return sorted(scores, key=lambda product_id: -scores[product_id])
