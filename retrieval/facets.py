"""What a shop's products can be told apart by: levels of the categories, brand, price band, attributes.

Takes the products of the moment by row and what was counted, gives the `Welcome` that asks. `Guide` keeps one in step
with the catalogue. Knows no request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.live import Indexes, LiveIndex
from retrieval.models.behaviour import BehaviourCounts
from retrieval.understanding.money import money
from retrieval.welcome import WITHIN, Facet, Steps, Weights, Welcome, likeness
from tasteline.types import Product

LEVELS = 3
"""Of the categories: few shops go deeper, and three questions cannot."""
GROUPS = 200
"""The largest of a facet; the table of what leads where has their square."""
COVERAGE = 0.5
"""Share of what is turned to that must have an attribute, just once: else "anything" would be the commonest answer."""
ATTRIBUTES = 8
"""The best covered ones; feeds carry a hundred."""
LONGEST = 200
"""Characters of a name that anybody would read on a button."""
STARTS = 5_000
"""Most popular products of which we look what followed; bounds the time (0.7 s for all of 12,000)."""
STEADY = 0.5
"""Share of people whose next choice is taken to be of the same category where nothing was counted: between purchases
of beauty products (.24) and products looked at in one visit to an electronics shop (.9 and more), chance taken off."""
STEADY_BRAND = 0.25
"""The same of brand and price band: about half of a category's in both of these."""
STEADY_ATTRIBUTE = 0.1
"""The same of an attribute, unmeasured: the color of a kettle says little about what is bought after it."""
UNSEEN = 1.0
"""What every product is turned to beside what was counted: one view."""
GROWTH = 0.2
"""Share of new events after which what leads where is counted anew."""
REST = 20.0
"""Times its own cost between two makings, as for the vocabulary: 5 % of a core at most."""
ROUND = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0)
"""Leading figures of the limits between price bands."""


@dataclass(frozen=True, slots=True)
class Division:
    """A facet before it is counted: the name of each product's group, None for none; labels where they differ."""

    id: str
    family: str
    text: str
    names: Sequence[str | None]
    labels: Mapping[str, str]
    steady: float
    """See `likeness`."""


def welcome_of(products: Mapping[int, Product], counts: BehaviourCounts) -> Welcome:
    """`products` by row, rising; rows that are missing are never asked about."""
    rows = np.fromiter(products, dtype=np.int64, count=len(products))
    listed = list(products.values())
    weights = np.zeros(int(rows[-1]) + 1 if len(rows) else 0)
    weights[rows] = counts.popularity([product.id for product in listed]) + UNSEEN
    steps = steps_of({product.id: row for row, product in products.items()}, counts)
    facets = (_facet(division, rows, weights, steps) for division in divisions(listed, weights[rows]))
    return Welcome(weights, [facet for facet in facets if len(facet.names) > 1], steps)


def steps_of(rows: Mapping[str, int], counts: BehaviourCounts) -> Steps:
    """What followed the most popular products, as often as those were turned to."""
    before, after, often = [], [], []
    for product_id in islice(counts.most_popular(), STARTS):
        if product_id not in rows:
            continue
        weight = float(counts.popularity([product_id])[0])
        for other, share in counts.followers(product_id).items():
            if other in rows:
                before.append(rows[product_id])
                after.append(rows[other])
                often.append(weight * share)
    return Steps(np.array(before, dtype=np.int64), np.array(after, dtype=np.int64), np.array(often, dtype=np.float64))


def divisions(products: Sequence[Product], weights: Weights) -> Iterator[Division]:
    """All that could be asked, from categories to attributes; equal gains are settled by this order."""
    for level in range(1, LEVELS + 1):
        paths = [product.categories[:level] if len(product.categories) >= level else () for product in products]
        labels = {WITHIN.join(path): path[-1] for path in paths if path}
        names = [WITHIN.join(path) or None for path in paths]
        yield Division(f"category-{level}", "category", "What are you looking for?", names, labels, STEADY)
    yield Division("brand", "brand", "Do you have a favourite brand?", [p.brand for p in products], {}, STEADY_BRAND)
    yield _price_bands(products, weights)
    for name in _covering(products, weights):
        values = [product.attributes.get(name, ()) for product in products]
        single = [value[0] if len(value) == 1 else None for value in values]
        yield Division(
            f"attribute:{name}", f"attribute:{name}", f"Which {name.casefold()}?", single, {}, STEADY_ATTRIBUTE
        )


def _price_bands(products: Sequence[Product], weights: Weights) -> Division:
    """Quarters of what is turned to, between round prices of the commonest currency."""
    currencies = Counter(product.price.currency for product in products if product.price)
    currency = min(currencies, key=lambda code: (-currencies[code], code), default="")
    amounts = [p.price.amount if p.price and p.price.currency == currency else -1 for p in products]
    limits = _limits(np.array(amounts, dtype=np.int64), weights)
    ends = [f"{low}-{high or ''}" for low, high in zip([0, *limits], [*limits, 0], strict=True)]
    words = [money(limit, currency) for limit in limits]
    between = [f"{low} to {high}" for low, high in pairwise(words)]
    said = [f"Under {words[0]}", *between, f"{words[-1]} and over"] if words else []
    bands = np.searchsorted(limits, amounts, side="right")
    names = [ends[band] if amount >= 0 and limits else None for amount, band in zip(amounts, bands, strict=True)]
    return Division("price", "price", "What may it cost?", names, dict(zip(ends, said, strict=False)), STEADY_BRAND)


def _limits(amounts: np.ndarray[tuple[int], np.dtype[np.int64]], weights: Weights) -> list[int]:
    """Round amounts near the quartiles, rising, each once and none at an end of the range."""
    priced = amounts >= 0
    amounts, weights = amounts[priced], weights[priced]
    if not len(amounts):
        return []
    order = np.argsort(amounts, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    quartiles = amounts[order][np.searchsorted(reached, (0.25, 0.5, 0.75))]
    rounded = sorted({_round(int(amount)) for amount in quartiles})
    return [limit for limit in rounded if amounts.min() < limit <= amounts.max()]


def _round(amount: int) -> int:
    """The nearest amount with a leading figure of ROUND.

    >>> [_round(amount) for amount in (0, 7, 1_234, 4_650, 89_900)]
    [0, 7, 1000, 5000, 100000]
    """
    if amount < 10:
        return amount
    unit = 10 ** (len(str(amount)) - 1)
    return int(min((figure * unit for figure in ROUND), key=lambda rounded: abs(rounded - amount)))


def _covering(products: Sequence[Product], weights: Weights) -> list[str]:
    """Attributes that enough products have exactly once, the best covered first."""
    covered: Counter[str] = Counter()
    for product, weight in zip(products, weights.tolist(), strict=True):
        for name, values in product.attributes.items():
            if len(values) == 1 and len(name) <= LONGEST // 2:
                covered[name] += weight
    enough = COVERAGE * weights.sum()
    best = sorted(covered, key=lambda name: (-covered[name], name))[:ATTRIBUTES]
    return [name for name in best if covered[name] >= enough]


def _facet(
    division: Division, rows: np.ndarray[tuple[int], np.dtype[np.int64]], weights: Weights, steps: Steps
) -> Facet:
    masses: Counter[str] = Counter()
    for name, weight in zip(division.names, weights[rows].tolist(), strict=True):
        if name is not None and len(name) <= LONGEST:
            masses[name] += weight
    kept = sorted(masses, key=lambda name: (-masses[name], name))[:GROUPS]
    if ordered := division.id == "price":
        kept.sort(key=list(division.labels).index)
    place = {name: code for code, name in enumerate(kept)}
    codes = np.full(len(weights), -1, dtype=np.int64)
    codes[rows] = [-1 if name is None else place.get(name, -1) for name in division.names]
    labels = tuple(division.labels.get(name, name) for name in kept)
    like = likeness(codes, len(kept), weights, steps, division.steady)
    return Facet(division.id, division.family, division.text, tuple(kept), labels, codes, like, ordered)


class Guide:
    """The questions of the present catalogue. `follow()` where the counts are written: it reads them."""

    def __init__(self, live: LiveIndex, counts: Callable[[], BehaviourCounts]) -> None:
        self._live = live
        self._counts = counts
        self._welcome = Welcome(np.zeros(0), [])
        self._catalogue: Catalogue | None = None
        self._revision = -1
        self._sequence = 0
        self._not_before = 0.0

    def __call__(self, indexes: Indexes) -> Welcome | None:
        """None for a moment after the rows were numbered anew. It may know fewer rows than there are by now."""
        return self._welcome if self._catalogue is indexes.catalogue else None

    def follow(self) -> None:
        counts, renumbered = self._counts(), self._catalogue is not self._live.present.catalogue
        grown = abs(counts.sequence - self._sequence) > GROWTH * self._sequence
        if not (renumbered or grown or self._revision != self._live.revision):
            return
        if time.monotonic() < self._not_before and not renumbered:
            return
        started = time.thread_time()
        with self._live.read() as indexes:
            catalogue, revision = indexes.catalogue, indexes.revision
            rows = np.flatnonzero(catalogue.alive).tolist()
            products = {row: catalogue.product(row) for row in rows}
        self._welcome = welcome_of(products, counts)
        self._catalogue, self._revision, self._sequence = catalogue, revision, counts.sequence
        self._not_before = time.monotonic() + REST * (time.thread_time() - started)
