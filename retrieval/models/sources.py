"""Ways to propose products for a need: by what others did next, by likeness, by popularity, by the person's habit.

Each is a `CandidateSource`; a learned next-item model becomes one more of them. Sources run inside `LiveIndex.read()`,
so that the rows of the need and of the answer are of one generation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retrieval.catalogue import Catalogue
from retrieval.live import Indexes
from retrieval.meaning import Meaning
from retrieval.models.behaviour import BehaviourCounts
from tasteline.ports import CandidateSource, Need
from tasteline.types import Mask, Rows, Scores

LEADING = 1_000
"""Most popular products that are kept looked up: enough for a request whose limits leave a fifth of them."""
SORTED_ANEW = 10_000
"""Rows that have come since before all are sorted again by their stars."""
STEPS_FOLLOWED = 10
"""Most recent products whose followers are asked for."""
LIKENESS_RECENT, LIKENESS_LASTING = 5, 10
LIKENESS_EACH = 60
LIKENESS_FLOOR = 0.3
"""Cosine below which two products are not alike in any way that a shopper would see."""
LASTING_SHARE = 0.3
"""Of the attention, for the year beside the last days."""

Proposal = tuple[Rows, Scores, Rows]


def _proposal(scores: dict[int, float], because: dict[int, int], k: int) -> Proposal:
    best = sorted(scores, key=lambda row: (-scores[row], row))[:k]
    return (
        np.array(best, dtype=np.int64),
        np.array([scores[row] for row in best], dtype=np.float32),
        np.array([because.get(row, -1) for row in best], dtype=np.int64),
    )


def _unexplained(rows: Rows, scores: NDArray[np.float64], k: int) -> Proposal:
    """The k best, ties by row, because of nothing."""
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order].astype(np.float32), np.full(len(order), -1, dtype=np.int64)


def _attention(need: Need) -> dict[int, float]:
    """Row → weight, the anchors as one step of full weight before everything recent."""
    if len(need.anchor):
        return dict.fromkeys(need.anchor.tolist(), 1.0)
    rows, weights = need.recent[-STEPS_FOLLOWED:], need.recent_weights[-STEPS_FOLLOWED:]
    attention = dict(zip(rows.tolist(), weights.tolist(), strict=True))
    lasting = need.lasting_weights
    order = np.argsort(-lasting, kind="stable")[:STEPS_FOLLOWED]
    for row, weight in zip(need.lasting[order].tolist(), lasting[order].tolist(), strict=True):
        attention[row] = attention.get(row, 0.0) + LASTING_SHARE * weight
    return attention


def untrained(behaviour: Callable[[], BehaviourCounts], indexes: Callable[[], Indexes]) -> list[CandidateSource]:
    """All that count or compare, and learn nothing."""
    return [
        CooccurrenceSource(behaviour, indexes),
        LikenessSource(indexes),
        PopularSource(behaviour, indexes),
        RatedSource(indexes),
        HabitSource(),
        NewSource(behaviour, indexes),
    ]


class CooccurrenceSource:
    """What people turned to after the products of the need (directed, decayed counts)."""

    name = "cooccurrence"

    def __init__(self, counts: Callable[[], BehaviourCounts], indexes: Callable[[], Indexes]) -> None:
        self._counts = counts
        self._indexes = indexes

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        counts, catalogue = self._counts(), self._indexes().catalogue
        scores: dict[int, float] = {}
        strongest: dict[int, tuple[float, int]] = {}
        for row, weight in _attention(need).items():
            for product_id, probability in counts.followers(catalogue.product(row).id).items():
                other = catalogue.row(product_id)
                if other is None or not allowed[other]:
                    continue
                share = weight * probability
                scores[other] = scores.get(other, 0.0) + share
                strongest[other] = max(strongest.get(other, (0.0, -1)), (share, row))
        return _proposal(scores, {other: row for other, (_, row) in strongest.items()}, k)


class LikenessSource:
    """Products whose text is close to those of the need. Works for a product that nobody has touched yet."""

    name = "likeness"

    def __init__(self, indexes: Callable[[], Indexes]) -> None:
        self._indexes = indexes

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        attention = _attention(need)
        rows = np.array(sorted(attention, key=lambda row: (-attention[row], row)), dtype=np.int64)
        rows = rows[: LIKENESS_RECENT + LIKENESS_LASTING]
        if not len(rows):
            return _proposal({}, {}, k)
        vectors = self._indexes().vectors
        found, cosines = vectors.search(vectors.vectors(rows), max(k, LIKENESS_EACH), allowed)
        scores: dict[int, float] = {}
        strongest: dict[int, tuple[float, int]] = {}
        for line, row in enumerate(rows.tolist()):
            close = cosines[line] > LIKENESS_FLOOR
            for other, cosine in zip(found[line][close].tolist(), cosines[line][close].tolist(), strict=True):
                if other == row:
                    continue
                share = attention[row] * (cosine - LIKENESS_FLOOR)
                scores[other] = scores.get(other, 0.0) + share
                strongest[other] = max(strongest.get(other, (0.0, -1)), (share, row))
        return _proposal(scores, {other: row for other, (_, row) in strongest.items()}, k)


class PopularSource:
    """What most people turn to, recent months first."""

    name = "popular"

    def __init__(self, counts: Callable[[], BehaviourCounts], indexes: Callable[[], Indexes]) -> None:
        self._counts = counts
        self._indexes = indexes
        self._leading: tuple[tuple[BehaviourCounts, int, Catalogue, int], Rows, NDArray[np.float64]] | None = None
        """Of which counts up to which event and catalogue of how many rows; rows and popularities."""

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        rows, scores = self._leaders()
        kept = np.flatnonzero(allowed[rows])[:k]
        if len(kept) == k or len(rows) < LEADING:
            return _unexplained(rows[kept], scores[kept], k)
        return _unexplained(*self._first(k, allowed), k)

    def _leaders(self) -> tuple[Rows, NDArray[np.float64]]:
        """The first LEADING of all, looked up once for each state of the counts and the catalogue."""
        counts, catalogue = self._counts(), self._indexes().catalogue
        state = (counts, counts.sequence, catalogue, len(catalogue))
        if self._leading is None or self._leading[0] != state:
            self._leading = state, *self._first(LEADING, None)
        return self._leading[1:]

    def _first(self, k: int, allowed: Mask | None) -> tuple[Rows, NDArray[np.float64]]:
        counts, catalogue = self._counts(), self._indexes().catalogue
        chosen: dict[str, int] = {}
        for product_id in counts.most_popular():
            if len(chosen) == k:
                break
            row = catalogue.row(product_id)
            if row is not None and (allowed is None or allowed[row]):
                chosen[product_id] = row
        return np.array(list(chosen.values()), dtype=np.int64), counts.popularity(list(chosen))


class RatedSource:
    """The best rated, for a shop in which nothing is counted yet; what nobody has rated is not proposed."""

    name = "rated"

    def __init__(self, indexes: Callable[[], Indexes]) -> None:
        self._indexes = indexes
        self._sorted: tuple[Catalogue, int, Rows] | None = None
        """A catalogue, how many of its rows were looked at, and the rated ones of them, best first."""

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        ratings = self._indexes().catalogue.ratings
        before, order = self._order()
        fresh = before + np.flatnonzero(allowed[before:] & ~np.isnan(ratings[before:]))
        rows = np.concatenate((_first_allowed(order, k, allowed), fresh))
        best = rows[np.lexsort((rows, -ratings[rows]))][:k]
        return _unexplained(best, 1.0 / (1 + np.arange(len(best))), k)

    def _order(self) -> tuple[int, Rows]:
        """A row never changes, so an order stays true of the rows that it is of."""
        catalogue = self._indexes().catalogue
        if self._sorted is None or self._sorted[0] is not catalogue or len(catalogue) - self._sorted[1] > SORTED_ANEW:
            ratings = catalogue.ratings
            rows = np.flatnonzero(~np.isnan(ratings))
            self._sorted = catalogue, len(catalogue), rows[np.argsort(-ratings[rows], kind="stable")]
        return self._sorted[1:]


def _first_allowed(rows: Rows, k: int, allowed: Mask) -> Rows:
    """The first k of `rows` that are allowed; a few are looked at, then more, because most masks let most pass."""
    found, start, size = rows[:0], 0, 2 * k
    while len(found) < k and start < len(rows):
        part = rows[start : start + size]
        found = np.concatenate((found, part[allowed[part]]))
        start, size = start + size, 4 * size
    return found[:k]


class HabitSource:
    """What the person returns to: their own long-term products. Only worth its place where people buy again."""

    name = "habit"

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        rows = [row for row in need.lasting.tolist() if allowed[row]]
        weights = dict(zip(need.lasting.tolist(), need.lasting_weights.tolist(), strict=True))
        return _proposal({row: weights[row] for row in rows}, {row: row for row in rows}, k)


class NewSource:
    """What came into the catalogue last and nobody has touched yet."""

    name = "new"

    def __init__(self, counts: Callable[[], BehaviourCounts], indexes: Callable[[], Indexes]) -> None:
        self._counts = counts
        self._indexes = indexes

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        catalogue = self._indexes().catalogue
        latest = np.flatnonzero(allowed)[::-1][: 20 * k]
        untouched = self._counts().popularity([catalogue.product(int(row)).id for row in latest]) == 0
        rows = latest[untouched][:k]
        return _proposal({int(row): 1.0 / (1 + place) for place, row in enumerate(rows)}, {}, k)


class Wishes:
    """Words → a source of one request: what the shopper says, or their interests put into words."""

    def __init__(self, indexes: Callable[[], Indexes]) -> None:
        self._indexes = indexes

    def __call__(self, wish: str) -> CandidateSource | None:
        """None for blank words, and where the embedder does not answer. Call it before the indexes are held."""
        if not wish.strip():
            return None
        embedder = self._indexes().embedder
        meaning = Meaning([wish], embedder)
        return WishSource(meaning, self._indexes) if meaning.by(embedder).any() else None


class WishSource:
    """Products close in meaning to words. One opinion among others, where the query of a search would narrow to it."""

    name = "wish"

    def __init__(self, meaning: Meaning, indexes: Callable[[], Indexes]) -> None:
        self._meaning = meaning
        self._indexes = indexes

    def propose(self, need: Need, k: int, allowed: Mask) -> Proposal:
        indexes = self._indexes()
        rows, cosines = indexes.vectors.search(self._meaning.by(indexes.embedder), k, allowed)
        close = cosines[0] > LIKENESS_FLOOR
        scores = zip(rows[0][close].tolist(), (cosines[0][close] - LIKENESS_FLOOR).tolist(), strict=True)
        return _proposal(dict(scores), {}, k)
