"""What is bought together: counts of pairs over baskets, and what goes well into a cart.

Takes baskets (all that one person bought on one day), gives for products of a cart others with the figures behind them:
support (baskets with both), confidence (share of the baskets with the one that have the other) and lift (over what
chance would give). A rule has a direction: a printer asks for paper, paper for no printer. Knows no price and no words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from retrieval.offers.deeds import BOUGHT

SUPPORT = 3
"""Baskets with both: two are chance."""
CONFIDENCE = 0.005
LIFT = 1.1
"""Pairs below either are no rule, however many baskets have both."""
NEIGHBOURS = 100
"""Kept for each product, the strongest: bounds the memory."""
POPULARITY = 0.25
"""Power of how often a product is bought by which its rules are divided: at 0 everything asks for milk, at 1 for what
two baskets had by chance. Chosen, as SUPPORT was, on baskets before those that were measured."""
OFTEN_SUPPORT, OFTEN_LIFT = 10, 3.0
"""From here on two of one kind are no substitutes but bought together: two flavours, a phone and a second phone not."""
ROWS_AT_ONCE = 2_000
"""Products whose pairs are counted at a time: memory again."""

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who has `given` in the cart may want `other`."""

    given: str
    other: str
    support: int
    confidence: float
    lift: float


@dataclass(frozen=True, slots=True)
class AddOn:
    """A product for a cart: the rule that speaks for it most, and the sum over all products of the cart."""

    rule: Rule
    score: float


@dataclass(frozen=True, slots=True)
class BasketRules:
    """Fitted counts; immutable."""

    ids: tuple[str, ...]
    baskets: int
    counts: NDArray[np.int64]
    """(products,) baskets with each."""
    together: sparse.csr_matrix
    """(products, products): baskets with both, rules only."""
    _codes: dict[str, int]

    @classmethod
    def fit(cls, deeds: pl.DataFrame, kinds: Mapping[str, str] | None = None) -> BasketRules:
        """From deeds (`retrieval.offers.deeds`); purchases of one person on one day are a basket.

        `kinds` (product → narrowest category) keeps out rules between substitutes: two of one kind, unless they are
        bought together often.
        """
        lines = deeds.filter(pl.col("kind") == BOUGHT).select("person", "day", "product").unique()
        numbered = lines.select(
            basket=pl.struct("person", "day").rank("dense") - 1, product=pl.col("product"), one=pl.lit(1)
        )
        counted = numbered.group_by("product").agg(n=pl.len()).filter(pl.col("n") >= SUPPORT).sort("product")
        ids = tuple(counted["product"].to_list())
        codes = {product: place for place, product in enumerate(ids)}
        kept = numbered.join(counted.with_row_index("code"), on="product")
        baskets = int(lines.select(pl.struct("person", "day").n_unique()).item())
        rows, columns = (kept[name].to_numpy().astype(np.int64) for name in ("basket", "code"))
        ones = np.ones(len(rows), dtype=np.float32)
        table = sparse.csr_matrix((ones, (rows, columns)), shape=(baskets, len(ids)))
        counts = counted["n"].to_numpy().astype(np.int64)
        return cls(ids, baskets, counts, _rules(table, counts, _numbered(ids, kinds or {})), codes)

    def add_ons(self, cart: Sequence[str], limit: int = 200) -> list[AddOn]:
        """Best first, ties by id; none of the cart. The sum over its products of

        confidence / (baskets with the other) ** POPULARITY
        """
        others, scores, speaking, support = self.asked_for(cart)
        return [
            AddOn(self._rule(given, other, both), score)
            for given, other, both, score in zip(
                speaking[:limit].tolist(),
                others[:limit].tolist(),
                support[:limit].tolist(),
                scores[:limit].tolist(),
                strict=True,
            )
        ]

    def asked_for(self, cart: Sequence[str]) -> tuple[Codes, NDArray[np.float64], Codes, Codes]:
        """All that a cart asks for, as `add_ons` has it: (others, scores, the one that speaks most, baskets with both).

        Others and those that speak are places in `ids`.
        """
        given = np.array([self._codes[each] for each in dict.fromkeys(cart) if each in self._codes], dtype=np.int64)
        rows = self.together[given].tocoo()
        others, support = rows.col.astype(np.int64), rows.data.astype(np.int64)
        weights = support / (self.counts[given[rows.row]] * self.counts[others] ** POPULARITY)
        new = ~np.isin(others, given)
        others, support, weights, speaking = others[new], support[new], weights[new], given[rows.row][new]
        found, places = np.unique(others, return_inverse=True)
        scores = np.bincount(places, weights, minlength=len(found)).astype(np.float64)
        strongest = np.lexsort((speaking, -weights, places))[np.cumsum(np.bincount(places)) - np.bincount(places)]
        order = np.lexsort((found, -scores))  # numbers rise with ids
        first = strongest[order]
        theirs: tuple[Codes, Codes, Codes] = found[order], speaking[first], support[first]
        return theirs[0], scores[order], *theirs[1:]

    def rule(self, given: str, other: str) -> Rule | None:
        """What stands between the two; None where nothing does."""
        code, sought = self._codes.get(given), self._codes.get(other)
        if code is None or sought is None:
            return None
        span = slice(int(self.together.indptr[code]), int(self.together.indptr[code + 1]))
        found = np.flatnonzero(self.together.indices[span] == sought)
        return self._rule(code, sought, int(self.together.data[span][found[0]])) if len(found) else None

    def _rule(self, code: int, other: int, both: int) -> Rule:
        confidence = both / int(self.counts[code])
        lift = confidence * self.baskets / int(self.counts[other])
        return Rule(self.ids[code], self.ids[other], both, confidence, lift)


def _numbered(ids: Sequence[str], kinds: Mapping[str, str]) -> NDArray[np.int64]:
    """(products,) the same number for those of one kind; each its own where the kind is not known."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(kinds[each], len(numbers)) if each in kinds else -1 - n for n, each in enumerate(ids)]
    return np.array(codes, dtype=np.int64)


def _rules(table: sparse.csr_matrix, counts: NDArray[np.int64], kinds: NDArray[np.int64]) -> sparse.csr_matrix:
    """Pairs that keep the three floors, for each product the NEIGHBOURS that speak most."""
    size, baskets = table.shape[1], table.shape[0]
    transposed = table.T.tocsr()
    parts = [sparse.csr_matrix((0, size), dtype=np.float32)]
    for start in range(0, size, ROWS_AT_ONCE):
        pairs = (transposed[start : start + ROWS_AT_ONCE] @ table).tocoo()
        given, others, both = pairs.row + start, pairs.col, pairs.data
        confidence = both / counts[given]
        kept = (given != others) & (both >= SUPPORT) & (confidence >= CONFIDENCE)
        lift = confidence * baskets / counts[others]
        often = (both >= OFTEN_SUPPORT) & (lift >= OFTEN_LIFT)
        kept &= (lift >= LIFT) & (often | (kinds[given] != kinds[others]))
        strength = confidence[kept] / counts[others[kept]] ** POPULARITY
        given, others, both = given[kept] - start, others[kept], both[kept]
        order = np.lexsort((others, -strength, given))
        first = np.flatnonzero(np.diff(given[order], prepend=-1))
        place = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        chosen = order[place < NEIGHBOURS]
        shape = (min(ROWS_AT_ONCE, size - start), size)
        parts.append(sparse.csr_matrix((both[chosen], (given[chosen], others[chosen])), shape=shape))
    return sparse.vstack(parts).tocsr() if size else sparse.csr_matrix((0, 0), dtype=np.float32)
